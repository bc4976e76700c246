"""Files that others may have made: read only if they are regular and not too large, and written whole or not at all."""

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import BinaryIO

MIB = 1 << 20
TAIL = 16 * MIB
DOCUMENT = 64 * MIB  # more than any JSON document of ours has
PARTIAL = ".seedbed-{0}.partial"
DAY = 86400  # seconds


def opened(path: Path, most: int, what: str = "a file") -> BinaryIO:
    """For reading. ValueError, with its name: it cannot be read, is no regular file, or has more than `most` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)  # a FIFO without a writer would wait
    except OSError as error:
        raise ValueError(f"{path}: expected {what}: {error.strerror}") from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path}: expected at most {most // MIB} MiB, found {found.st_size // MIB} MiB")
    raise ValueError(f"{path}: expected {what}, found {kind(found.st_mode)}")


def kind(mode: int) -> str:
    """What is no regular file, in words."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def read(path: Path, most: int = DOCUMENT) -> bytes:
    """All that it holds. ValueError: see `opened`."""
    with opened(path, most) as file:
        try:
            return file.read(most)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error


def tail(path: Path) -> str:
    """The last that it holds, as text, `TAIL` bytes at most; empty if it cannot be read."""
    try:
        with opened(path, sys.maxsize) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            return file.read(TAIL).decode(errors="replace")
    except (OSError, ValueError):
        return ""


def parsed(text: bytes | str, **options: object) -> object:
    """The JSON that it is. ValueError: it is none, or is nested deeper than Python can follow."""
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write(path: Path, content: bytes) -> None:
    """Put the content there, whole or not at all. OSError, with the name: it cannot be written.

    Nobody can know the name that it has until then, and lay a link there. What a kill has left is removed a day later.
    """
    remove_partial(path.parent, older_than=DAY)
    partial = path.with_name(PARTIAL.format(os.urandom(8).hex()))
    try:
        descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """OSError, with the name: `write` will not be able to put a file there."""
    write(path.with_name(PARTIAL.format("try")), b"")
    path.with_name(PARTIAL.format("try")).unlink(missing_ok=True)


def remove_partial(folder: Path, older_than: int = 0) -> None:
    """What `write` has left in the folder where it was killed."""
    for left in folder.glob(PARTIAL.format("*")):
        try:
            if time.time() - left.lstat().st_mtime >= older_than:
                left.unlink()
        except OSError:
            continue  # somebody else's
