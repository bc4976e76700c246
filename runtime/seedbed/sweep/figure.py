"""A plot of curves as simple shapes, in a plane of WIDTH by HEIGHT units: a band, lines, rules and words.

The mean over the seeds with a band of one standard deviation to either side, and each seed's own curve behind it.
"""

import math
import statistics
from dataclasses import dataclass

from seedbed.sweep.summary import Curves

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 20, 36, 48
MARGIN = 0.04  # of the range, below and above
MOST_POINTS = 600  # of one curve: more than that the plot cannot show
INK, FAINT, SEED, MEAN = "#24292f", "#d0d7de", "#9db8d2", "#0b5cad"

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Line:
    """Through these points, so many units wide."""

    points: Points
    colour: str
    width: float


@dataclass(frozen=True)
class Band:
    """Between two lines with the same x."""

    upper: Points
    lower: Points
    colour: str
    opacity: float


@dataclass(frozen=True)
class Words:
    """At a point; `anchor`: whether they begin, have their middle or end there."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    size: float = 12


Shape = Line | Band | Words


def figure(metric: str, curves: Curves) -> list[Shape]:
    """From back to front. Values that are no finite numbers are left out."""
    means, stds = bundle(curves)
    low, high = limits(curves)
    last = max(2, *map(len, curves.values()))
    across, up = Scale(1, last, LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP)

    def line(values: list[float]) -> Points:
        pairs = [(across(step), up(value)) for step, value in enumerate(values, start=1) if math.isfinite(value)]
        return tuple(thinned(pairs))

    shapes: list[Shape] = []
    for tick in ticks(low, high):
        shapes.append(Line(((LEFT, up(tick)), (WIDTH - RIGHT, up(tick))), FAINT, 1))
        shapes.append(Words(LEFT - 8, up(tick) + 4, f"{tick:.6g}", "end"))
    whole = (tick for tick in ticks(1, last) if tick == int(tick))
    shapes += [Words(across(tick), HEIGHT - BOTTOM + 20, f"{tick:.0f}") for tick in whole]
    shapes += [Line(line(values), SEED, 1) for values in curves.values()]
    if len(curves) > 1:
        upper = line([mean + std for mean, std in zip(means, stds, strict=True)])
        lower = line([mean - std for mean, std in zip(means, stds, strict=True)])
        shapes.append(Band(upper, lower, MEAN, 0.18))
    shapes.append(Line(line(means), MEAN, 2.5))
    shapes.append(Line(((LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)), INK, 1))
    spread = ", band: one standard deviation" if len(curves) > 1 else ""
    shapes.append(Words(LEFT, TOP - 14, f"{metric}: mean of {len(curves)} seeds{spread}", "start", 14))
    shapes.append(Words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "step or epoch"))
    return shapes


def bundle(curves: Curves) -> tuple[list[float], list[float]]:
    """At each step the mean and the sample standard deviation, as far as every seed has come."""
    columns = list(zip(*curves.values(), strict=False))
    means = [statistics.fmean(column) if all_finite(column) else math.nan for column in columns]
    stds = [statistics.stdev(column) if len(column) > 1 and all_finite(column) else 0.0 for column in columns]
    return means, stds


def all_finite(values: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, values))


def limits(curves: Curves) -> tuple[float, float]:
    """A little less than the least and more than the most of all, band included."""
    means, stds = bundle(curves)
    values = [value for curve in curves.values() for value in curve]
    values += [mean + sign * std for mean, std in zip(means, stds, strict=True) for sign in (-1, 1)]
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    margin = (high - low) * MARGIN or abs(low) * MARGIN or 1.0
    return low - margin, high + margin


class Scale:
    """From numbers to units, linear."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low = low
        self.start = start
        self.factor = (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * self.factor


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, five or so."""
    rough = (high - low) / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Every k-th point and the last."""
    every = max(1, math.ceil(len(points) / MOST_POINTS))
    return [*points[:-1:every], *points[-1:]]
