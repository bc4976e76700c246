"""Reads what others wrote: regular files only, of limited size, so that nothing read can hang or fill the memory."""

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from builder.errors import UsageError

LARGEST = 1 << 20
"""Bytes of a document, far more than any has."""


def opened(path: Path, remedy: str = "") -> BinaryIO:
    """The file, to be read; raises `UsageError`, with `remedy`, if there is none, or a folder, a FIFO or a device."""
    then = f"; {remedy}" if remedy else ""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for its writer
    except OSError as error:
        raise UsageError(f"{shown(path)}: cannot be read: {error.strerror}{then}") from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise UsageError(f"{shown(path)}: cannot be read: not a regular file{then}")


def data(path: Path, remedy: str = "") -> bytes:
    """The file's content; raises `UsageError` as `opened` does, and if it is larger than any document is."""
    with opened(path, remedy) as file:
        found = file.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise UsageError(f"{shown(path)}: larger than 1 MiB, the most that is read")
    return found


def text(path: Path, remedy: str = "") -> str:
    """The file's text; raises `UsageError` as `data` does, and if it is not UTF-8, with the line."""
    found = data(path, remedy)
    try:
        return io.StringIO(found.decode(), newline=None).read()  # lines end as they do for `open`
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        then = f"; {remedy}" if remedy else ""
        raise UsageError(
            f"{shown(path)}:{line}: expected UTF-8, found the byte {found[error.start]:#04x}{then}"
        ) from None


def title_of(script: Path) -> str:
    """The first line of a script's docstring, its name for people; raises `UsageError` if there is none."""
    _, _, docstring = text(script).partition('"""')
    if title := docstring.partition('"""')[0].partition("\n")[0].rstrip("."):
        return title
    raise UsageError(f"{shown(script)}: expected a docstring in triple quotes, whose first line is a title")


def shown(path: Path) -> Path:
    """The path as a person would type it: relative to the working directory where it is below it."""
    working = Path.cwd()
    return path.relative_to(working) if path.is_relative_to(working) else path
