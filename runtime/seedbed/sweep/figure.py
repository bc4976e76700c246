"""A plot of curves as simple shapes, in a plane of WIDTH by HEIGHT units: a band, lines, rules and words.

The mean over the seeds with a band of one standard deviation to either side, and each seed's own curve behind it.
Where each seed has one value only, the seeds stand beside one another instead.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from seedbed import terminal
from seedbed.sweep import summary
from seedbed.sweep.summary import Curves

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 20, 36, 48
MARGIN = 0.04  # of the range, below and above
MOST_POINTS = 600  # of one curve: more than that the plot cannot show
MOST_LABELS = 20  # of seeds side by side
DASH = 16  # units, for one seed's value
LEAST, LARGEST = 1e-300, 1e300  # of what is drawn, so that no sum and no scale is larger than any float
INK, FAINT, SEED, MEAN = "#24292f", "#d0d7de", "#9db8d2", "#0b5cad"

Points = tuple[tuple[float, float], ...]
Scale = Callable[[float], float]  # from numbers to units
Bundle = tuple[list[float], list[float], list[float]]  # at each step: mean - std, mean, mean + std of all seeds


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
    curves = {seed: list(map(drawable, values)) for seed, values in curves.items()}
    metric = terminal.printable(metric)  # a file of SVG must not hold control characters
    bundle = bundle_of(curves)
    low, high = limits(curves, bundle)
    up = scale(low, high, HEIGHT - BOTTOM, TOP)
    of_one_value = all(len(values) == 1 for values in curves.values())
    inside = side_by_side(curves, bundle, up) if of_one_value else over_steps(curves, bundle, up)
    shown = f"mean of {len(curves)} seeds, band: one standard deviation" if len(curves) > 1 else "one seed"
    return [
        *rules(low, high, up),
        *inside,
        Line(((LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM)), INK, 1),
        Words(LEFT, TOP - 14, f"{metric}: {shown}", "start"),
        Words((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "seed" if of_one_value else "step or epoch"),
    ]


def drawable(value: float) -> float:
    """NaN, which leaves a gap, for a number too large to be drawn."""
    return math.nan if abs(value) > LARGEST else value if abs(value) >= LEAST or math.isnan(value) else 0.0


def rules(low: float, high: float, up: Scale) -> Iterable[Shape]:
    """Across the plot at round numbers, which stand on the left."""
    for tick in ticks(low, high):
        yield Line(((LEFT, up(tick)), (WIDTH - RIGHT, up(tick))), FAINT, 1)
        yield Words(LEFT - 8, up(tick) + 4, f"{tick:.6g}", "end")


def over_steps(curves: Curves, bundle: Bundle, up: Scale) -> Iterable[Shape]:
    """A line a seed, and the band and the mean as far as every seed has come."""
    last = max(map(len, curves.values()))
    across = scale(1, last, LEFT, WIDTH - RIGHT)

    def line(values: Iterable[float]) -> Points:
        return thinned([(across(x), up(y)) for x, y in enumerate(values, start=1) if math.isfinite(y)])

    yield from (below(across(tick), f"{tick:.0f}") for tick in ticks(1, last) if tick == int(tick))
    yield from (Line(line(values), SEED, 1) for values in curves.values())
    yield from band_and_mean(bundle, len(curves), line)


def side_by_side(curves: Curves, bundle: Bundle, up: Scale) -> Iterable[Shape]:
    """A dash a seed, and the band and the mean behind all of them."""
    across = scale(-0.5, len(curves) - 0.5, LEFT, WIDTH - RIGHT)

    def level(values: Iterable[float]) -> Points:
        return tuple((x, up(y)) for y in values if math.isfinite(y) for x in (LEFT, WIDTH - RIGHT))

    yield from band_and_mean(bundle, len(curves), level)
    every = math.ceil(len(curves) / MOST_LABELS)
    for place, (seed, (value,)) in enumerate(curves.items()):
        if place % every == 0:
            yield below(across(place), str(seed))
        if math.isfinite(value):
            x, y = across(place), up(value)
            yield Line(((x - DASH / 2, y), (x + DASH / 2, y)), INK, 3)


def band_and_mean(bundle: Bundle, seeds: int, line: Callable[[Iterable[float]], Points]) -> Iterable[Shape]:
    lower, means, upper = bundle
    if seeds > 1:
        yield Band(line(upper), line(lower), MEAN, 0.18)
    yield Line(line(means), MEAN, 2.5)


def below(x: float, text: str) -> Words:
    """Under the axis."""
    return Words(x, HEIGHT - BOTTOM + 20, text)


def bundle_of(curves: Curves) -> Bundle:
    found = [summary.mean_and_std(column) for column in zip(*curves.values(), strict=False)]
    lower, means, upper = ([mean + sign * std for mean, std in found] for sign in (-1, 0, 1))
    return lower, means, upper


def limits(curves: Curves, bundle: Bundle) -> tuple[float, float]:
    """A little less than the least and more than the most of all, band included."""
    finite = [value for line in (*curves.values(), *bundle) for value in line if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    margin = (high - low) * MARGIN or abs(low) * MARGIN or 1.0
    return low - margin, high + margin


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """Linear."""
    factor = (end - start) / (high - low)
    return lambda value: start + (value - low) * factor


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, five or so."""
    rough = (high - low) / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def thinned(points: list[tuple[float, float]]) -> Points:
    """Every k-th point and the last."""
    every = max(1, math.ceil(len(points) / MOST_POINTS))
    return (*points[:-1:every], *points[-1:])
