"""Files that are written whole or not at all, whoever else writes them, and errors of the disk in one line."""

import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from builder import paths
from builder.errors import SeedbedError

WRITING = ".writing-"
"""How the name of a file starts while it is written."""

FULL = (errno.ENOSPC, errno.EDQUOT)
OF_DISKS = (*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def write(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Make the file, or replace it, so that no reader ever sees a part; of two writers at once the last one wins."""
    with replacing(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """What is written in the block, as that file once the block has ended; if it fails the file stays as it was."""
    with new(path.parent, mode) as file:
        yield file
        file.flush()
        Path(file.name).replace(path)


@contextmanager
def new(folder: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """A file in `folder`, of a name that nobody else has, which vanishes at the end unless it was renamed.

    It is locked while it is written: those that killed processes left go with the next.
    """
    with in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        with begun(folder) as file:
            try:
                os.fchmod(file.fileno(), mode)
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)


def begun(folder: Path) -> IO[bytes]:
    """A new file in `folder`, locked; another one if somebody swept it away before it was."""
    while True:
        with ExitStack() as stack:
            file = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix=WRITING, delete=False))
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                stack.pop_all()
                return file


def sweep(folder: Path) -> None:
    """Delete what writers that were killed left in `folder`: nobody holds the lock on it any more."""
    for path in folder.glob(f"{WRITING}*"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file, which is made if it is not there; a process loses it by whatever ends it."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def in_one_line(place: Path, *numbers: int) -> Iterator[None]:
    """Raise errors of the operating system, or of these `numbers` alone, as SeedbedError that says what to do.

    `place` is what they are about, if they name no file themselves.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (numbers and error.errno not in numbers):  # None: the requests library's own
            raise
        raise SeedbedError(complaint(error, place)) from error


def complaint(error: OSError, place: Path) -> str:
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else place
    if where.name.startswith(WRITING):
        where = where.parent
    if error.errno in FULL:
        return no_space(where)
    remedy = "name another folder in SEEDBED_CACHE" if in_cache(where) else "check its permissions"
    return f"{where}: {error.strerror}; {remedy}"


def no_space(place: Path) -> str:
    """That the disk with `place` is full, and what helps."""
    remedy = f", or {larger_disk()}" if in_cache(place) else ""
    return f"{place}: no space left on the disk at {disk(place)}; free some{remedy}"


def larger_disk() -> str:
    """How to get more room for the cache; a container's stands with the engine's data."""
    return "give Docker a larger disk" if paths.THROWAWAY in os.environ else "set SEEDBED_CACHE to a larger disk"


def sha256(path: Path) -> str:
    """The file's, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str, what: str) -> None:
    """Raise SeedbedError unless the file of the cache has the sha256; it is then deleted, so that it is made anew."""
    if path.exists() and not path.is_file():  # a FIFO would be waited for, and /dev/zero read for ever
        raise SeedbedError(f"{what}: expected a plain file at {path}: delete what is there, and run the command again")
    found = sha256(path)
    if found != expected:
        path.unlink(missing_ok=True)
        raise SeedbedError(
            f"{what}: expected sha256 {expected}, found {found} in {path}, which is now deleted: run the command again"
        )


@contextmanager
def suspecting(*checks: Callable[[], object]) -> Iterator[None]:
    """If the block fails, make these checks before: they name the file of the cache that is the cause, if one is."""
    try:
        yield
    except SeedbedError:
        for check in checks:
            with suppress(FileNotFoundError):
                check()
        raise


def check_space(said: str, place: Path) -> None:
    """Raise SeedbedError if what a program said is that the disk with `place` is full."""
    if re.search("No space left|Disk quota exceeded", said):
        raise SeedbedError(no_space(place))


def disk(place: Path) -> Path:
    """Where the file system is mounted that holds `place`, or would hold it."""
    place = place.absolute()
    return next(folder for folder in (place, *place.parents) if folder.is_mount())


def in_cache(place: Path) -> bool:
    return place.absolute().is_relative_to(paths.cache())
