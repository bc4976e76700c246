"""Builds the library that watches for entropy, and has it loaded into a command (LD_PRELOAD)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from seedbed import leftovers
from seedbed.native.variables import EVENTS, PRELOAD, with_library

SOURCE = Path(__file__).with_name("entropy.c")
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=gnu11", "-O1", "-fPIC", "-shared", "-fno-builtin", "-U_FORTIFY_SOURCE")
SEPARATORS = " :"  # of LD_PRELOAD: a path with one of them cannot be given


@dataclass(frozen=True)
class Watch:
    """What has a command watched. `library` is a path that the dynamic loader can load; empty: see `reason`."""

    library: str = ""
    reason: str = ""

    def environ(self, environ: dict[str, str], events: Path) -> dict[str, str]:
        """`environ` with what makes the command write its events to this file, which is made here."""
        if not self.library:
            return environ
        events.touch(mode=0o600)
        return with_library(environ, self.library, str(events.absolute()))


NOT_WATCHED = Watch()  # on purpose: there is no reason to give


@contextmanager
def watch() -> Iterator[Watch]:
    """The library, built for as long as this lasts. It never fails: a machine that cannot watch says why."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if sys.platform != "linux":
        yield Watch(reason="only Linux can")
    elif compiler is None:
        yield Watch(reason="no C compiler here (cc)")
    else:
        with ExitStack() as folders:
            yield first_that_works(build(compiler, folder) for folder in private_folders(folders))


def first_that_works(tried: Iterable[Watch]) -> Watch:
    """Or the reason why the first does not."""
    failed = []
    for found in tried:
        if found.library:
            return found
        failed.append(found)
    return failed[0] if failed else Watch(reason="no writable folder (set TMPDIR)")


def private_folders(until: ExitStack) -> Iterator[Path]:
    """A folder that only this user sees in each place that can be written to, as long as `until` is open."""
    for place in (None, "/dev/shm", Path.home()):  # None: TMPDIR, /tmp and the like
        try:
            made = tempfile.TemporaryDirectory(prefix="seedbed-native-", dir=place, ignore_cleanup_errors=True)
        except OSError:
            continue
        leftovers.remember(made.name)
        yield Path(until.enter_context(made))


def build(compiler: str, private: Path) -> Watch:
    """The library as a file, or held in memory if it cannot be loaded from this folder (its name, noexec)."""
    library = private / "entropy.so"
    environ = {**os.environ, "TMPDIR": str(private)}
    made = subprocess.run(
        [compiler, *FLAGS, "-o", library, SOURCE, "-ldl"], env=environ, capture_output=True, text=True, check=False
    )
    if made.returncode:
        message = next((line for line in made.stderr.splitlines() if line.strip()), f"exit status {made.returncode}")
        return Watch(reason=f"{compiler} fails: {message.rpartition('error: ')[2]}")
    if loads(str(library), private):
        return Watch(str(library))
    copy = in_memory(library.read_bytes())
    if copy and loads(copy, private):
        return Watch(copy)
    return Watch(reason="the dynamic loader does not preload Seedbed's library (is LD_PRELOAD forbidden?)")


def in_memory(content: bytes) -> str:
    """The path of a file in no folder, which is there as long as this process; empty: the system has none."""
    try:
        file = os.memfd_create("seedbed-entropy")
        os.write(file, content)
    except (OSError, AttributeError):  # not Linux
        return ""
    return f"/proc/{os.getpid()}/fd/{file}"


def loads(library: str, private: Path) -> bool:
    """Whether a program that is given it starts as before, and with it: it then says so in its memory map."""
    if any(letter in library for letter in SEPARATORS):
        return False
    environ = {PRELOAD: library, EVENTS: str(private / "none"), "PATH": os.environ.get("PATH", "")}
    tried = subprocess.run(["cat", "/proc/self/maps"], env=environ, capture_output=True, text=True, check=False)
    return tried.returncode == 0 and not tried.stderr and ("entropy" in tried.stdout)
