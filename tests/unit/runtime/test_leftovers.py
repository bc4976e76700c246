"""Whatever ends a command of Seedbed, it leaves no program running and no temporary folder."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import is_running

TRAINING = """
import os, signal, subprocess, sys, time
from pathlib import Path
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
below = [
    subprocess.Popen(["sleep", "600"], start_new_session=True),
    subprocess.Popen([sys.executable, "-S", "-c", stubborn], stdout=subprocess.PIPE),
]
below[1].stdout.readline()
partial = Path(f"pids-{os.getpid()}.partial")
partial.write_text(f"{os.getpid()} {below[0].pid} {below[1].pid}")
partial.rename(partial.stem)
time.sleep(600)
"""  # with a worker in a session of its own, as torchrun's, and one that wants to stay
COMMANDS = {
    "record": ("run", "--record", "r", "--"),
    "audit": ("run", "--audit", "--"),
    "verify": ("verify", "-n", "2", "--"),
    "parallel": ("verify", "-n", "3", "--parallel", "2", "--"),
    "sweep": ("sweep", "--seeds", "4", "--parallel", "2", "--"),
    "golden": ("golden", "golden.json", "--"),
    "trace": ("trace", "--"),
}


@pytest.fixture
def started(python: Path, environ: dict[str, str], tmp_path: Path):
    """A command of Seedbed whose training runs, and the training's processes."""
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "temporary").mkdir()
    processes: list[subprocess.Popen] = []

    def started(*arguments: str, shell: str = "{} train.py; true") -> tuple[subprocess.Popen, list[int]]:
        command = [python, "-m", "seedbed", *arguments, "sh", "-c", shell.format(python)]
        env = environ | {"TMPDIR": str(tmp_path / "temporary"), "PATH": f"{python.parent}:{environ['PATH']}"}
        process = subprocess.Popen(
            command,
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        processes.append(process)
        runs = 2 if "--parallel" in arguments else 1
        while len(files := [path for path in tmp_path.glob("pids-*") if path.suffix != ".partial"]) < runs:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        return process, [int(word) for file in files for word in file.read_text().split()]

    yield started
    for process in processes:
        process.kill()
        process.stdout.close()
        process.stderr.close()
        process.wait()


def nothing_is_left(trainings: list[int], folder: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(map(is_running, trainings)) or list((folder / "temporary").iterdir()):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_leaves_no_program_and_no_temporary_folder(started, tmp_path: Path, name: str) -> None:
    process, trainings = started(*COMMANDS[name])
    process.kill()
    assert nothing_is_left(trainings, tmp_path, 60)


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("name", ["verify", "parallel", "sweep", "golden", "trace"])
def test_an_interrupted_command_has_ended_everything_before_it_ends(
    started, tmp_path: Path, name: str, number: int, status: int
) -> None:
    process, trainings = started(*COMMANDS[name])
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.splitlines()[-1]) == (status, "seedbed: interrupted")
    assert "Traceback" not in said
    assert nothing_is_left(trainings, tmp_path, 0.5)


@pytest.mark.parametrize("name", ["record", "audit"])
def test_a_command_that_is_only_watched_gets_the_signal_and_ends_as_it_wants(
    started, tmp_path: Path, name: str
) -> None:
    (tmp_path / "train.py").write_text(
        "import os, signal, sys, time\nfrom pathlib import Path\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), os._exit(7)))\n"
        "Path('pids-1.partial').write_text(str(os.getpid())); Path('pids-1.partial').rename('pids-1')\n"
        "while True: time.sleep(0.1)"
    )
    process, trainings = started(*COMMANDS[name], shell="exec {} train.py")
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=30)
    assert (process.returncode, printed) == (7, "saved\n")
    assert nothing_is_left(trainings, tmp_path, 0.5)


def test_what_a_command_leaves_running_on_purpose_is_left_if_it_ends_well(seedbed, tmp_path: Path) -> None:
    done = seedbed("run", "--record", "r", "--", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
    assert done.returncode == 0
    assert is_running(int(done.stdout))
    os.kill(int(done.stdout), signal.SIGKILL)


def command_lines() -> Iterator[bytes]:
    """Of all processes that do not end meanwhile."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield path.read_bytes()


def test_the_key_by_which_programs_are_known_is_on_no_command_line(started) -> None:
    process, _ = started(*COMMANDS["verify"])
    lines = list(command_lines())
    environ = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    keys = [
        word.partition(b"=")[2]
        for child in environ
        for word in Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if word.startswith(b"SEEDBED_DISCLOSURE_KEY=")
    ]
    assert keys and not any(key in line for key in keys for line in lines)
