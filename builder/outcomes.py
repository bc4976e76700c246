"""How checks end. Standard library only, for `smoke --host`."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


def summary(outcomes: Iterable[str]) -> str:
    """`14 passed, 1 skipped`."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if counts[outcome])
