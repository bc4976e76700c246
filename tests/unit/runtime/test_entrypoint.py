import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from seedbed.environment import baked_environment
from seedbed.settings import VARIABLES


@pytest.fixture
def enter(runtime: Path):
    """Run a command behind the entrypoint, in an image's environment with the user's variables on top."""

    def enter(*command: str, **variables: str) -> subprocess.CompletedProcess:
        env = {"PATH": os.environ["PATH"], **baked_environment(("torch",)), **variables}
        return subprocess.run(["dash", runtime / "entrypoint.sh", *command], env=env, capture_output=True, text=True)

    return enter


def test_it_is_clean_for_shellcheck(runtime: Path) -> None:
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=beside_python) or pytest.skip("shellcheck is not installed")
    command = [shellcheck, "-x", "entrypoint.sh", "settings.sh"]
    done = subprocess.run(command, cwd=runtime, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_says_seed_mode_threads_and_image_in_one_line_on_stderr(enter) -> None:
    done = enter("echo", "data", SEEDBED_IMAGE="tiny 1.0", OMP_NUM_THREADS="3")
    assert done.stderr == "seedbed: seed 42, mode strict, threads 3, image tiny 1.0\n"
    assert done.stdout == "data\n"


def test_warn_says_what_stays_nondeterministic(enter) -> None:
    assert "mode warn (attention's backward stays nondeterministic)" in enter("true", SEEDBED_MODE="warn").stderr


def test_off_says_that_nothing_is_seeded(enter) -> None:
    assert enter("true", SEEDBED_MODE="off").stderr == "seedbed: mode off (nothing is seeded)\n"


def test_it_can_be_quiet(enter) -> None:
    assert enter("true", SEEDBED_QUIET="1").stderr == ""


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"SEEDBED_MODE": "Strict"}, "SEEDBED_MODE=Strict: expected strict, warn or off"),
        (
            {"CUBLAS_WORKSPACE_CONFIG": "garbage"},
            "CUBLAS_WORKSPACE_CONFIG=garbage: expected :4096:8 or :16:8, or SEEDBED_MODE=off",
        ),
        (
            {"PYTHONHASHSEED": "random"},
            "PYTHONHASHSEED=random: expected a whole number from 0 to 4294967295 in mode strict",
        ),
        (
            {"PYTHONHASHSEED": "x", "SEEDBED_MODE": "warn"},
            "PYTHONHASHSEED=x: expected a whole number from 0 to 4294967295 in mode warn",
        ),
    ],
)
def test_wrong_use_is_one_line_and_exit_status_2(enter, variables: dict[str, str], message: str) -> None:
    done = enter("echo", "ran", **variables)
    assert (done.returncode, done.stderr, done.stdout) == (2, f"seedbed: {message}\n", "")


@pytest.mark.parametrize("value", next(s.legal for s in VARIABLES if s.name == "CUBLAS_WORKSPACE_CONFIG"))
def test_every_legal_cublas_workspace_is_taken(enter, value: str) -> None:
    assert enter("true", CUBLAS_WORKSPACE_CONFIG=value).returncode == 0


def test_an_illegal_cublas_workspace_does_not_matter_in_off(enter) -> None:
    assert enter("true", CUBLAS_WORKSPACE_CONFIG="garbage", SEEDBED_MODE="off").returncode == 0


def test_a_random_hash_seed_may_be_asked_for_in_warn(enter) -> None:
    assert enter("true", PYTHONHASHSEED="random", SEEDBED_MODE="warn").returncode == 0


def test_the_command_seedbed_starts_whatever_is_wrong_so_that_it_can_tell(enter, tmp_path: Path) -> None:
    (tmp_path / "seedbed").write_text("#!/bin/sh\necho told\n")
    (tmp_path / "seedbed").chmod(0o755)
    done = enter("seedbed", "info", CUBLAS_WORKSPACE_CONFIG="garbage", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "told\n", "")


def test_the_exit_status_passes_through(enter) -> None:
    assert enter("sh", "-c", "exit 37").returncode == 37


def test_the_command_takes_its_place_and_gets_the_signals(runtime: Path) -> None:
    command = ["dash", runtime / "entrypoint.sh", "sh", "-c", "echo $$; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == f"{process.pid}\n"
        process.terminate()
        assert process.wait() == -signal.SIGTERM


def test_arguments_arrive_as_they_were(enter) -> None:
    assert enter("printf", "%s\n", "a b", "", "*", "$HOME").stdout == "a b\n\n*\n$HOME\n"
