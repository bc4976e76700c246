import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from seedbed.environment import baked_environment
from seedbed.settings import VARIABLES

from tests.processes import still_running


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
    command = [shellcheck, "-x", "entrypoint.sh", "settings.sh", "profile.d/seedbed.sh"]
    done = subprocess.run(command, cwd=runtime, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_says_seed_mode_threads_and_image_in_one_line_on_stderr(enter) -> None:
    done = enter("echo", "data", SEEDBED_IMAGE="tiny 1.0", OMP_NUM_THREADS="3")
    assert done.stderr == "seedbed: seed 42, mode strict, threads 3, image tiny 1.0\n"
    assert done.stdout == "data\n"


@pytest.mark.parametrize(
    ("end", "said"), [("2026-04-23", " (end of life since 2026-04-23)"), ("9999-12-31", ""), ("soon", ""), ("", "")]
)
def test_it_says_that_the_image_is_past_its_end_of_life(enter, end: str, said: str) -> None:
    done = enter("true", SEEDBED_IMAGE="tiny 1.0", OMP_NUM_THREADS="3", SEEDBED_END_OF_LIFE=end)
    assert done.stderr == f"seedbed: seed 42, mode strict, threads 3, image tiny 1.0{said}\n"


def test_warn_says_what_stays_nondeterministic(enter) -> None:
    assert (
        "mode warn (the backward pass of attention is not deterministic)" in enter("true", SEEDBED_MODE="warn").stderr
    )


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


def test_the_command_takes_its_place_and_gets_the_signals(runtime: Path, python: Path) -> None:
    wait = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    command = ["dash", runtime / "entrypoint.sh", python, "-c", wait]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == f"{process.pid}\n"
        process.terminate()
        assert process.wait() == -signal.SIGTERM


SAVES = """
import os, signal, sys
child = os.fork()
def stop(*_):
    signal.alarm(10)  # a worker that was signalled too is not there any more
    os.kill(child, 0)
    print("saved", os.waitpid(child, os.WNOHANG) == (0, 0), flush=True)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    sys.exit(0)
if child:
    signal.signal(signal.SIGTERM, stop)
    print("ready", os.getpid(), child, flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize("how", ["%s; echo not this", "sh -c '%s; true'; echo not this"])
def test_a_training_started_by_a_shell_gets_the_signal_and_saves_and_its_workers_do_not(
    runtime: Path, tmp_path: Path, how: str
) -> None:
    """Control, below: without the entrypoint the shell dies and leaves the training behind."""
    (tmp_path / "train.py").write_text(SAVES)
    script = how % f"{sys.executable} {tmp_path / 'train.py'}"
    for before, said in [(["dash", runtime / "entrypoint.sh"], "saved True\n"), ([], "")]:
        with subprocess.Popen([*before, "sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
            started = [int(word) for word in process.stdout.readline().removeprefix("ready ").split()]
            process.terminate()
            assert process.wait() in (128 + signal.SIGTERM, -signal.SIGTERM)
            left = still_running(started, 5 if before else 0)
            for number in left:
                os.kill(number, signal.SIGKILL)
            assert (process.stdout.read(), bool(left)) == (said, not before)


SPEAKS_LATE = """
import os, signal, sys, time
def stop(*_):
    time.sleep(0.3)
    print("saved", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize(
    "how", ["%s 2>&1 | tee log", "exec > >(tee log); %s; true", "yes | %s | (cat; echo end) | tee log"]
)
def test_what_a_training_writes_through_is_there_until_it_has_saved(runtime: Path, tmp_path: Path, how: str) -> None:
    """A `tee` that got the signal would be gone, and the training would end by SIGPIPE when it says that it saves."""
    (tmp_path / "train.py").write_text(SPEAKS_LATE)
    script = how % f"{sys.executable} train.py"
    command = ["env", "--default-signal", "dash", runtime / "entrypoint.sh", "bash", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert process.stdout.read().startswith("saved\n")
    assert (tmp_path / "log").read_text().startswith("ready\nsaved\n")


def test_a_program_that_reads_on_is_told_once_nobody_writes_to_it(runtime: Path) -> None:
    command = ["env", "--default-signal", "dash", runtime / "entrypoint.sh", "bash", "-c"]
    script = "sleep 60 | (echo ready; sleep 61; true)"
    with subprocess.Popen([*command, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM


@pytest.mark.parametrize("signal_name, status", [("USR1", 128 + signal.SIGUSR1), ("HUP", 128 + signal.SIGHUP)])
def test_a_shell_gets_other_signals_as_well(runtime: Path, signal_name: str, status: int) -> None:
    heeded = ["env", f"--default-signal={signal_name}"]  # a shell cannot trap what nohup, say, has it ignore
    command = [*heeded, "dash", runtime / "entrypoint.sh", "sh", "-c", "echo ready; sleep 60; true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, f"SIG{signal_name}"))
        assert process.wait() == status


def test_a_shell_reads_what_is_piped_into_it(runtime: Path) -> None:
    command = ["dash", runtime / "entrypoint.sh", "sh", "-c", "read line; echo got $line"]
    done = subprocess.run(command, input="this\n", capture_output=True, text=True)
    assert done.stdout == "got this\n"


def test_ctrl_c_is_not_ignored_below_a_shell(enter) -> None:
    """A shell has its children in the background ignore SIGINT, and the entrypoint is one."""
    script = f"{sys.executable} -c 'import signal; print(signal.getsignal(signal.SIGINT))'; true"
    assert "default_int_handler" in enter("sh", "-c", script).stdout


def home_of(enter, **variables: str) -> Path:
    return Path(enter("printenv", "HOME", **variables).stdout.strip())


def test_a_home_that_cannot_be_written_to_is_replaced_by_one_of_the_users_own(enter, tmp_path: Path) -> None:
    home = home_of(enter, HOME="/", TMPDIR=str(tmp_path))
    assert home == tmp_path / f"home-{os.getuid()}"
    assert home.stat().st_mode & 0o777 == 0o700
    assert home_of(enter, HOME="/", TMPDIR=str(tmp_path)) == home


def test_so_is_one_that_etc_passwd_names_and_nobody_has_made(enter, tmp_path: Path) -> None:
    """Those of nobody and www-data. In a Python that starts without the entrypoint it is the same, below."""
    (tmp_path / "getent").write_text("#!/bin/sh\necho nobody:x:65534:65534:nobody:/nonesuch:/bin/sh\n")
    (tmp_path / "getent").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    home = home_of(enter, HOME="/nonesuch", TMPDIR=str(tmp_path), PATH=path)
    assert home == tmp_path / f"home-{os.getuid()}"
    assert home_of(enter, HOME="/chosen", TMPDIR=str(tmp_path), PATH=path) == Path("/chosen")


@pytest.mark.parametrize(
    "home, wanted",
    [("/nonesuch", "home-{} nobody"), ("/root/nonesuch", "/root/nonesuch somebody"), ("", "{tmp} somebody")],
)
def test_a_python_without_the_entrypoint_takes_the_same_home(
    output, runtime: Path, tmp_path: Path, home: str, wanted: str
) -> None:
    code = f"""
import os, runpy, sys, types
account = types.SimpleNamespace(pw_name="nobody", pw_dir="/nonesuch")
sys.modules["pwd"] = types.SimpleNamespace(getpwuid=lambda uid: account)
runpy.run_path({str(runtime / "sitecustomize.py")!r})
print(os.environ["HOME"], os.environ["USER"])
"""
    said = output(code, HOME=home or str(tmp_path), USER="somebody", TMPDIR=str(tmp_path))
    assert said.split() == str(tmp_path / wanted.format(os.getuid(), tmp=tmp_path)).split()


def test_a_home_of_the_users_choice_stays(enter, tmp_path: Path) -> None:
    assert home_of(enter, HOME="/nonesuch", TMPDIR=str(tmp_path)) == Path("/nonesuch")


def test_a_home_that_somebody_else_has_laid_out_is_not_taken(enter, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"home-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    home = home_of(enter, HOME="/", TMPDIR=str(tmp_path))
    assert home.parent == tmp_path and home.name.startswith("tmp.")


def test_commands_in_the_users_home_are_found_after_all_others(enter, tmp_path: Path) -> None:
    path = enter("sh", "-c", "echo $PATH", HOME=str(tmp_path)).stdout.strip().split(":")
    assert path[-1] == f"{tmp_path}/.local/bin"


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    "before, after",
    [
        ("/usr/bin:/bin", "/opt/venv/bin:/usr/bin:/bin:/home/me/.local/bin"),
        ("/mine:/opt/venv/bin:/home/me/.local/bin:/bin", "/mine:/opt/venv/bin:/home/me/.local/bin:/bin"),
    ],
)
def test_a_login_shell_finds_the_images_python_first_and_the_users_commands_last(
    runtime: Path, shell: str, before: str, after: str
) -> None:
    script = f". {runtime / 'profile.d' / 'seedbed.sh'}; echo $PATH"
    command = [shutil.which(shell), "-euc", script]
    said = subprocess.run(command, env={"PATH": before, "HOME": "/home/me"}, capture_output=True, text=True)
    assert said.stdout.strip() == after, said.stderr


def test_arguments_arrive_as_they_were(enter) -> None:
    assert enter("printf", "%s\n", "a b", "", "*", "$HOME").stdout == "a b\n\n*\n$HOME\n"


@pytest.mark.parametrize("name", ["SEEDBED_SEED", "SEEDBED_MODE", "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED"])
def test_a_backslash_is_a_backslash_and_no_code_moves_the_cursor(enter, name: str) -> None:
    done = enter("true", **{name: r"a\nb\c" + "\x1b[2J\r"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(rf"seedbed: {name}=a\nb\c?[2J?: expected ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("seed", ["²", "٣", "1" * 5000, "0x10", "4294967296", " 1", "1\n"])
def test_a_seed_is_of_ascii_digits(enter, seed: str) -> None:
    assert enter("true", SEEDBED_SEED=seed).returncode == 2


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_a_standard_error_that_takes_nothing_is_no_reason_not_to_start(runtime: Path, stream: str) -> None:
    env = {"PATH": os.environ["PATH"], **baked_environment(("torch",))}
    line = f"dash {runtime}/entrypoint.sh echo data {stream}"
    done = subprocess.run(["bash", "-c", line], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "data\n", "")


def test_no_shell_file_has_an_echo(runtime: Path) -> None:
    root = runtime.parent
    files = [*runtime.rglob("*.sh"), *root.glob("templates/*"), root / ".ci" / "run", *root.glob(".github/**/*.yml")]
    assert len(files) > 6
    assert not [file for file in files for line in file.read_text().splitlines() if line.strip().startswith("echo ")]


@pytest.mark.parametrize("flags", [["-S"], ["-sS"], ["-X", "utf8", "-B", "-S"], ["-IS"]])
def test_python_S_is_refused_since_it_loads_no_hook(enter, python: Path, flags: list[str]) -> None:
    command = [str(python), *flags, "-c", "print('ran')"]
    refused, warned = enter(*command), enter(*command, SEEDBED_MODE="warn")
    why = "python -S loads no startup hook"
    assert (refused.returncode, refused.stdout) == (2, "")
    assert (
        refused.stderr.startswith(f"seedbed: {why}, so nothing would be seeded: ") and refused.stderr.count("\n") == 1
    )
    assert (warned.returncode, warned.stdout) == (0, "ran\n")
    assert warned.stderr.startswith(f"seedbed: {why}: nothing is seeded\nseedbed: seed 42, mode warn")
    assert enter(*command, SEEDBED_MODE="off").stdout == "ran\n"


@pytest.mark.parametrize(
    "arguments", [["-c", "print('ran')", "-S"], ["-Wdefault:S", "-c", "print('ran')"], ["-sc", "print('ran')"]]
)
def test_an_argument_of_the_programs_own_is_not_taken_for_python_S(enter, python: Path, arguments: list[str]) -> None:
    assert enter(str(python), *arguments).stdout == "ran\n"


def test_another_python_is_refused_unless_it_has_the_hook(enter, python: Path) -> None:
    theirs, ran = sys._base_executable, ["-c", "print('ran')"]
    refused = enter(theirs, *ran)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"seedbed: {theirs} loads no startup hook") and refused.stderr.count("\n") == 1
    assert enter(theirs, *ran, SEEDBED_MODE="warn").stdout == enter(str(python), *ran).stdout == "ran\n"


def test_a_python_that_cannot_start_says_so_itself(enter, python: Path) -> None:
    assert "encodings" in enter(str(python), "-c", "", PYTHONHOME="/nonexistent").stderr
    assert enter("python-of-nobody").returncode == 127


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_takes_nothing_stops_no_training(runtime: Path, stderr: str) -> None:
    env = {"PATH": os.environ["PATH"], **baked_environment(("torch",))}
    command = ["sh", "-c", f'dash "$0" echo ran {stderr}', runtime / "entrypoint.sh"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "ran\n")
