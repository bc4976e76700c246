import os
import subprocess
from pathlib import Path

import pytest

SEEDBED = "from seedbed.cli import main; raise SystemExit(main())"


def variables(done: subprocess.CompletedProcess) -> dict[str, str]:
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_the_command_line_wins_over_the_environment(seedbed) -> None:
    done = seedbed("run", "--seed", "7", "--mode", "warn", "--", "env", SEEDBED_SEED="5", SEEDBED_MODE="strict")
    asked = variables(done)
    assert (asked["SEEDBED_SEED"], asked["SEEDBED_MODE"], asked["PYTHONHASHSEED"]) == ("7", "warn", "7")
    assert done.stderr.startswith(
        "seedbed: seed 7, mode warn (the backward pass of attention is not deterministic), threads "
    )


def test_without_options_the_environment_counts(seedbed) -> None:
    done = seedbed("run", "env", SEEDBED_SEED="5", PYTHONHASHSEED="5")
    assert variables(done)["SEEDBED_SEED"] == "5"
    assert done.stderr.startswith("seedbed: seed 5, mode strict, threads ")


@pytest.mark.parametrize(("end", "said"), [("2026-04-23", " (end of life since 2026-04-23)"), ("9999-12-31", "")])
def test_it_says_that_the_image_is_past_its_end_of_life(seedbed, end: str, said: str) -> None:
    done = seedbed("run", "true", SEEDBED_IMAGE="tiny 1.0", SEEDBED_END_OF_LIFE=end)
    assert done.stderr.endswith(f", image tiny 1.0{said}\n")


def test_off_takes_out_what_an_outer_run_has_set(seedbed, python: Path) -> None:
    inner = [python, "-c", SEEDBED, "run", "--mode", "off", "--", "env"]
    left = variables(seedbed("run", "--seed", "7", "--", *inner))
    assert not {"PYTHONHASHSEED", "OMP_NUM_THREADS", "OMP_DYNAMIC", "MKL_DYNAMIC"} & left.keys()


def test_the_commands_own_options_are_its_own(seedbed) -> None:
    assert seedbed("run", "--seed", "7", "printf", "%s|", "--seed", "8", "--", "-x").stdout == "--seed|8|--|-x|"


def test_it_becomes_the_command(seedbed) -> None:
    assert seedbed("run", "--", "sh", "-c", "exit 37").returncode == 37


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (("run",), 2, "run: expected a command, as in: seedbed run --seed 7 -- python train.py"),
        (("run", "--seed", "-3", "true"), 2, "SEEDBED_SEED=-3: expected a whole number from 0 to 4294967295"),
        (("run", "--mode", "x", "true"), 2, "SEEDBED_MODE=x: expected strict, warn or off"),
        (("run", "--", "no-such-command"), 127, "no-such-command: no such command on PATH"),
    ],
)
def test_wrong_use_is_one_line(seedbed, arguments: tuple[str, ...], status: int, message: str) -> None:
    done = seedbed(*arguments)
    assert (done.returncode, done.stderr, done.stdout) == (status, f"seedbed: {message}\n", "")


REFUSED = {"CUBLAS_WORKSPACE_CONFIG": "garbage", "PYTHONHASHSEED": "random", "SEEDBED_MODE": "x", "SEEDBED_SEED": "-1"}


@pytest.mark.parametrize("name, value", REFUSED.items())
def test_it_refuses_what_the_entrypoint_refuses_in_the_same_words(seedbed, runtime, name: str, value: str) -> None:
    environ = {"PATH": os.environ["PATH"], name: value}
    told = subprocess.run(["dash", runtime / "entrypoint.sh", "true"], env=environ, capture_output=True, text=True)
    done = seedbed("run", "true", **{name: value})
    assert told.returncode == 2
    assert (done.returncode, done.stderr) == (told.returncode, told.stderr)


def test_help_shows_an_example(seedbed) -> None:
    assert "seedbed run --seed 7 -- python train.py" in seedbed("run", "--help").stdout
