"""Files of JSON lines, records and journals, that can be read whenever the process that writes them dies."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from seedbed import files, terminal

NEW_LINE = b"\n"
BEGINNING = b'{"'
LARGEST = 4096 * files.MIB  # of one file
LONGEST_LINE = 64 * files.MIB


class Lines:
    """A new file; each line is written at once. FileExistsError: there is one of that name. `what`: a name for it.

    A line that cannot be written (the disk is full) is lost, and no other line with it; the first time that is said.
    """

    def __init__(self, path: Path, what: str = "record") -> None:
        self.path = path
        self.what = what
        self.torn = self.complained = False
        self.descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o666)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, line: dict) -> None:
        text = (NEW_LINE if self.torn else b"") + json.dumps(line).encode() + NEW_LINE
        try:
            while text:
                written = os.write(self.descriptor, text)
                self.torn = written < len(text)  # until the rest is written, too
                text = text[written:]
        except OSError as error:
            if not self.complained:
                self.complained = True
                terminal.log(f"lines are missing in the {self.what}: {self.path}: {error.strerror}")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def first_new(paths: Iterable[Path], what: str = "record") -> Lines:
    """The first of these files that is not there yet, made. OSError: it cannot be made."""
    for path in paths:
        try:
            return Lines(path, what)
        except FileExistsError:
            continue
    raise OSError(f"{path}: too many processes")


def read(path: Path, what: str = "a record", kinds: tuple[str, ...] = (), most: int = LARGEST) -> Iterator[tuple]:
    """The number and the content of each whole line, or of those whose first key is one of `kinds`.

    A line that was torn (the process was killed, the disk full) is lost. ValueError: the file is not of that kind.
    """
    beginnings = tuple(b'{"%b":' % kind.encode() for kind in kinds)
    with files.opened(path, most, what) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            if not line.endswith(NEW_LINE):
                if len(line) == LONGEST_LINE:
                    raise ValueError(f"{path}:{number}: expected {what}, found a line of more than 64 MiB")
                return
            if kinds and not line.startswith(beginnings):
                continue
            try:
                found = files.parsed(line)
            except ValueError as error:
                if not line.startswith(BEGINNING):
                    raise ValueError(f"{path}: expected {what} of JSON lines, found {line[:40]!r}") from error
            else:
                yield number, found
