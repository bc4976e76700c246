"""Files of JSON lines that can be read whenever the process that writes them dies."""

import json
import os
from pathlib import Path


class Lines:
    """A new file; each line is written at once. FileExistsError: there is one of that name."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o666)

    def write(self, line: dict) -> None:
        os.write(self.descriptor, json.dumps(line).encode() + b"\n")
