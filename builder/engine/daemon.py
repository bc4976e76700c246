"""A daemon in namespaces of its own, which outlives this process; the next finds it by the lock that it holds."""

import fcntl
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from builder.errors import SeedbedError

OWN_NAMESPACES = ("unshare", "--mount", "--propagation=slave", "--mount-proc", "--pid", "--fork", "--kill-child")
NOTING_ITS_PID = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')  # by itself: we could be killed before we have
STOP_TIMEOUT = 30.0  # seconds; Docker gives a container 10 to end by itself


@dataclass(frozen=True)
class Daemon:
    """The daemon that holds the lock of the file `alive`, with its pid in it, and writes to `log_file`."""

    alive: Path
    log_file: Path

    def launch(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start it. The first program of `command` is the init of its PID namespace."""
        with suppress(FileNotFoundError):
            self.log_file.rename(self.log_file.with_suffix(".log.1"))
        with self.alive.open("w") as alive, self.log_file.open("w") as written:
            # All its processes inherit this lock: while it is held, the pid in the file is right.
            fcntl.flock(alive, fcntl.LOCK_EX)
            return subprocess.Popen(
                [*NOTING_ITS_PID, str(self.alive), *raised_limits(), *OWN_NAMESPACES, *command],
                env=environment,
                cwd="/",
                umask=0o022,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
                pass_fds=[alive.fileno()],
            )

    def lives(self) -> bool:
        with suppress(FileNotFoundError), self.alive.open() as alive:
            try:
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def end(self) -> bool:
        """End it, gently where it lets us; False if it did not live."""
        if not self.lives():
            return False
        within(STOP_TIMEOUT, lambda: bool(self.alive.read_text()))  # it may have started a moment ago
        group = int(self.alive.read_text())
        for ending in (signal.SIGTERM, signal.SIGKILL):  # killing unshare kills its child, the init
            with suppress(ProcessLookupError):
                os.killpg(group, ending)
            if within(STOP_TIMEOUT, lambda: not self.lives()):
                return True
        raise SeedbedError(f"the embedded engine (process {group}) cannot be killed: reboot")

    def last_words(self) -> str:
        """The line of its log that says why it ended, and where to read on."""
        lines = self.log_file.read_text(errors="replace").splitlines()
        telling = [line for line in lines if re.search(r"^(failed|unable)|level=(error|fatal)", line)]
        last = (telling or lines or ["it said nothing"])[-1]
        message = re.search(r'msg="((?:[^"\\]|\\.)*)"', last)
        return f"{message[1] if message else last}; its log is {self.log_file}"


def raised_limits() -> tuple[str, ...]:
    """Containers inherit the limit on open files, and a shell's usual 1024 is too few for data loaders."""
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1 << 20)
    return ("prlimit", f"--nofile={hard}:{hard}")


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
