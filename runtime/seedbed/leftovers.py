"""Ends what a command of Seedbed leaves if it is interrupted or killed: the programs it has started, temporary folders.

A small process of its own waits at a pipe for the command's end, which it sees even if the command is killed. It knows
the programs by the key in their environment (`seedbed.disclosure`) and by what has started them, in whatever group or
session they are. This file is that process, too; as such it imports nothing of Seedbed's.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

KEY = b"SEEDBED_DISCLOSURE_KEY="
DONE = b"done"
PATIENCE = 5  # seconds from SIGTERM to SIGKILL: docker stop waits for 10

_watcher = None
ending = False  # whether the command has been told to end: nothing more is started


class Ended:
    """While it is entered, the command leaves nothing behind, however it ends.

    KeyboardInterrupt, with the signal, after SIGINT or SIGTERM.
    """

    def __enter__(self) -> None:
        global _watcher
        import subprocess

        from seedbed import disclosure

        _watcher = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
            cwd="/",
            start_new_session=True,
        )
        tell(disclosure.with_key({})[disclosure.KEY].encode())
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, a shell's background job
                signal.signal(number, interrupt)

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            tell(DONE)
        end()


def interrupt(number: int, _: object) -> None:
    global ending
    ending = True
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    end()
    raise KeyboardInterrupt(number)


def end() -> None:
    """Have the watcher end what is there, unless all is done, and wait for it."""
    if not _watcher.stdin.closed:
        with suppress(BrokenPipeError):
            _watcher.stdin.close()
    _watcher.wait()


def tell(word: bytes) -> None:
    with suppress(OSError, ValueError):  # it was killed, or is done
        _watcher.stdin.write(word + b"\0")
        _watcher.stdin.flush()


def temporary(prefix: str):
    """A `TemporaryDirectory`, which is removed even if this process is killed."""
    import tempfile  # not at the top: it imports random, which cannot be configured in a mode that there is not

    made = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    remember(made.name)
    return made


def remember(folder: str) -> None:
    """Have this folder removed, too."""
    if _watcher:
        tell(os.fsencode(Path(folder).absolute()))


def watch() -> None:
    """What the watcher does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    key, *words = sys.stdin.buffer.read().split(b"\0")
    if DONE in words or not Path("/proc/self/environ").exists():
        return
    end_programs(KEY + key)
    if folders := [word for word in words if word.startswith(b"/")]:
        import shutil

        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def end_programs(key: bytes) -> None:
    """SIGTERM, so that they can save what they want to and end their own workers; SIGKILL for those that stay."""
    known: set[int] = set()
    for number in (signal.SIGTERM, signal.SIGKILL):
        signalled: set[int] = set()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            known = alive(key, known)
            if not known:
                return
            for process in known - signalled:
                with suppress(OSError):
                    os.kill(process, number)
            signalled |= known
            time.sleep(0.02)


def alive(key: bytes, known: set[int]) -> set[int]:
    """The processes that have the key, what they have started, and those of `known` that still run."""
    parents, found = {}, set()
    for process in (int(found.name) for found in Path("/proc").iterdir() if found.name.isdecimal()):
        try:
            state, parent = content(process, "stat").rpartition(b") ")[2].split()[:2]
            if state not in (b"Z", b"X"):
                parents[process] = int(parent)
                if process in known or key in content(process, "environ").split(b"\0"):
                    found.add(process)
        except OSError:  # it is gone, or somebody else's
            continue
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def content(process: int, name: str) -> bytes:
    return Path(f"/proc/{process}/{name}").read_bytes()


if __name__ == "__main__":
    watch()
