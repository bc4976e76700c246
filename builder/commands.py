"""Other programs, run to their end."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it prints, as text whatever bytes it is. `options` are `subprocess.run`'s own."""
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False, **options)
