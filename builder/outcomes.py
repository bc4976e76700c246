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


@dataclass(frozen=True)
class Result:
    """How a check ended; `detail` says why it failed or was skipped. Of a program that passed it is its sha256."""

    check: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0

    def __str__(self) -> str:
        return f"{self.outcome:7} {self.check}" + (f": {self.detail}" if self.detail else "")


def summary(outcomes: Iterable[str]) -> str:
    """`14 passed, 1 skipped`."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if counts[outcome])
