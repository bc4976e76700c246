"""Signals end build.py with one line and a shell's status, at any moment."""

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder import paths
from builder.cli import cleaning
from tests.processes import still_running

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
IMPORT = "import sys, os, signal; from builder import interrupts; interrupts.handle()"


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """A `build.py engine up` that waits for somebody who has the cache to himself."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    cleaning.claim(paths.cache())
    mark = (paths.cache() / cleaning.MARK).resolve()
    with mark.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command = [sys.executable, str(paths.ROOT / "build.py"), "engine", "up"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while mark not in [path.resolve() for path in Path(f"/proc/{process.pid}/fd").iterdir()]:
            time.sleep(0.01)
        yield process
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_one_line_and_128_with_its_number(waiting, number):
    waiting.send_signal(number)
    _, said = waiting.communicate(timeout=60)
    assert (waiting.returncode, said) == (128 + number, f"seedbed: interrupted ({number.name})\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_what_may_not_be_left_half_done_is_done_before_the_signal_counts(number):
    code = (
        f"{IMPORT}\nwith interrupts.later():\n with interrupts.later(): os.kill(os.getpid(), {number})\n print('done')"
    )
    code += "\nprint('too far')"
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (128 + number, "done\n")
    assert done.stderr == f"seedbed: interrupted ({number.name})\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_build_py_is_starting_is_the_same_line(number):
    """Control: Python's own way with Ctrl-C is a traceback of whatever it was importing."""
    code = f"{IMPORT}; os.kill(os.getpid(), {number})"
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + number, f"seedbed: interrupted ({number.name})\n")


def test_a_signal_in_a_callback_whose_exceptions_python_drops_ends_build_py_all_the_same():
    """Python's import machinery has such callbacks. Control: once something is begun, it has to be ended in order."""
    drops = f"class Dropping:\n def __del__(self): os.kill(os.getpid(), {signal.SIGTERM}); os.getpid()\nDropping()"
    for begun, ended in ((False, (143, "")), (True, (0, "too far\n"))):
        code = f"{IMPORT}; interrupts.nothing_begun = {not begun}\n{drops}\nprint('too far')"
        done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == ended
        assert done.stderr.startswith("seedbed: interrupted (SIGTERM)\n")


def test_what_was_started_is_ended_in_order():
    code = f"{IMPORT}\ntry: os.kill(os.getpid(), signal.SIGTERM)\nfinally: print('ended')"
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (143, "ended\n")


def test_nobody_waits_for_what_processes_are_still_at():
    """As layers are written, the largest takes minutes."""
    code = f"""{IMPORT}
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
with ProcessPoolExecutor(1, get_context("spawn")) as pool:
    pool.submit(abs, 1).result()
    task = pool.submit(time.sleep, 600)
    while not task.running(): time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, timeout=60, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (143, b"seedbed: interrupted (SIGTERM)\n")


def test_a_signal_that_is_ignored_stays_ignored():
    """As with nohup, and with SIGINT for what a script starts in the background."""
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); {IMPORT}; os.kill(os.getpid(), signal.SIGHUP)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=False).returncode == 0


def test_checks_on_a_host_end_in_the_same_way(tmp_path):
    python, started = tmp_path / "python", tmp_path / "started"
    python.write_text(f"#!/bin/sh\ntouch {started}\nexec sleep 60\n")
    python.chmod(0o755)
    command = [sys.executable, str(paths.ROOT / "build.py"), "smoke", "--host", "--python", str(python)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (143, "seedbed: interrupted (SIGTERM)\n")


@pytest.mark.parametrize("moment", ["while it runs", "as it starts"])
def test_a_build_that_is_interrupted_ends_with_all_it_has_started_and_without_a_word_of_its(tmp_path, moment):
    """Controls: if only the command is killed, what it has started goes on; so does all if a signal finds it half
    started."""
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\ntrap 'echo last word >&2' TERM INT\nsleep 600 &\necho $! > started\nwait\nwait\n")
    program.chmod(0o755)
    code = f"""{IMPORT}
import subprocess, threading, time
from pathlib import Path
from builder.engine.client import Engine
def interrupt():
    while not Path("started").exists() or not Path("started").read_text(): time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
if {moment == "while it runs"}:
    threading.Thread(target=interrupt).start()
else:
    class Popen(subprocess.Popen):
        def __init__(self, *command, **options):
            super().__init__(*command, **options)
            interrupt()
    subprocess.Popen = Popen
Engine(None, {{"PATH": {f"{tmp_path}:/usr/bin:/bin"!r}}}, embedded=False).build([], folder=Path(), epoch=0)
"""
    environment = {"PYTHONPATH": str(paths.ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        start_new_session=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (143, b"seedbed: interrupted (SIGTERM)\n")
    assert not still_running([int((tmp_path / "started").read_text())])
