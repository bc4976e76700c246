"""How commands and checks end. Standard library only, for `smoke --host`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

LONGEST_RUN = 600  # seconds
TIMED_OUT = 124  # as timeout(1) has it

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str


def summary(outcomes: Iterable[str]) -> str:
    """`14 passed, 1 skipped`."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if counts[outcome])
