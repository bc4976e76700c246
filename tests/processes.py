"""Whether processes that a test has started, or that these have, are still there."""

import time
from collections.abc import Iterable
from pathlib import Path


def is_running(number: int) -> bool:
    """A zombie that nobody waits for has ended too."""
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # not there, or gone while it is read
        return False


def still_running(numbers: Iterable[int], seconds: float = 5) -> list[int]:
    """Those that are left after so long: one that was killed is there for a moment, and no longer."""
    until = time.monotonic() + seconds
    while (left := [number for number in numbers if is_running(number)]) and time.monotonic() < until:
        time.sleep(0.01)
    return left
