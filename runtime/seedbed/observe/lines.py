"""Files of JSON lines that can be read whenever the process that writes them dies."""

import json
import os
from pathlib import Path

from seedbed import terminal

NEW_LINE = b"\n"


class Lines:
    """A new file; each line is written at once. FileExistsError: there is one of that name.

    A line that cannot be written (the disk is full) is lost, and no other line with it; the first time that is said.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
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
                terminal.log(f"the record misses lines: {self.path}: {error.strerror}")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
