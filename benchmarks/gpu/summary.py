"""What rows of results amount to: outcomes against claims, paired ratios, means. Standard library only."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EQUAL, DIFFERENT, REFUSED, ONCE = "equal", "different", "refused", "once"
"""How the runs of one workload in one configuration ended; once: too few to tell."""

CLAIMS = {
    "equal": {EQUAL},
    "refused": {REFUSED},
    "equal or refused": {EQUAL, REFUSED},
    "may differ": {EQUAL, DIFFERENT},
}
"""What docs/determinism.md promises, and the outcomes that agree with it."""

AS_CLAIMED, CONTRADICTED, UNAVAILABLE, UNJUDGED = "as claimed", "CONTRADICTED", "not available", "too few runs"


@dataclass(frozen=True)
class Spread:
    """The median of some values, and the least and the largest of them."""

    median: float
    least: float
    largest: float


def outcome(runs: Sequence[Mapping[str, str]]) -> str:
    """Of runs that each have a `digest`, or an `error` where the workload raised one."""
    errors = ["error" in run for run in runs]
    if len(runs) < 2:
        return ONCE
    if all(errors):
        return REFUSED
    return EQUAL if not any(errors) and len({run["digest"] for run in runs}) == 1 else DIFFERENT


def distinct(runs: Sequence[Mapping[str, str]]) -> int:
    """How many different results there were, errors counted as one."""
    return len({run.get("digest") for run in runs})


def verdict(claim: str, found: str, unavailable: bool) -> str:
    """Whether an outcome agrees with the claim.

    `unavailable`: mode off raised an error too, so determinism is not the reason: this device does not have it.
    """
    if unavailable:
        return UNAVAILABLE
    if found == ONCE:
        return UNJUDGED
    return AS_CLAIMED if found in CLAIMS[claim] else CONTRADICTED


def spread(values: Sequence[float]) -> Spread:
    """ValueError: there are none."""
    if not values:
        raise ValueError("no values to take the median of")
    return Spread(statistics.median(values), min(values), max(values))


def paired(values: Mapping[int, float], references: Mapping[int, float]) -> list[float]:
    """Ratios, each of a value and the reference of the same round; a round that lacks either does not count."""
    return [values[number] / references[number] for number in sorted(values.keys() & references.keys())]


def geometric_mean(values: Sequence[float]) -> float:
    """ValueError: there are none, or one is not positive."""
    if not values or min(values) <= 0:
        raise ValueError(f"expected positive values, found {list(values)}")
    return math.exp(statistics.fmean(map(math.log, values)))
