"""Folders for what is being made: in the cache, whose disk has the room, and on which what is done can be moved."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from builder import files

NAME = "scratch"


@contextmanager
def folder(cache: Path) -> Iterator[Path]:
    """A folder that is gone at the end; one that a killed process left behind goes with the next that is made."""
    home = cache / NAME
    with ExitStack() as stack:
        with files.in_one_line(home):
            home.mkdir(parents=True, exist_ok=True)
            with held(home):
                sweep(home)
                made = Path(tempfile.mkdtemp(dir=home))
                stack.enter_context(held(made))
                stack.callback(shutil.rmtree, made, ignore_errors=True)
        stack.enter_context(files.in_one_line(made, *files.FULL))
        yield made


def sweep(home: Path) -> None:
    """Delete the folders that nobody holds. One that goes meanwhile, and what is no folder, is no obstacle."""
    for left in (path for path in home.iterdir() if not path.is_symlink()):
        with suppress(OSError), held(left, fcntl.LOCK_NB):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def held(place: Path, waiting: int = 0) -> Iterator[None]:
    """Hold the folder's lock, which a process loses by whatever ends it."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | waiting)
        yield
    finally:
        os.close(descriptor)
