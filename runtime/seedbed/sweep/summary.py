"""What several seeds gave: a row a seed, and mean, spread and confidence interval of each metric."""

import csv
import io
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from seedbed.sweep import student

FEW = 10  # runs; with fewer, the interval is wide and the standard deviation itself uncertain

Curves = dict[int, list[float]]  # by seed, in the order of the seeds


@dataclass(frozen=True)
class Summary:
    """Of one metric, whose `values` are the last of its `curves`. `std` is the sample deviation (n - 1), 0 for one run.

    `interval` holds the mean with 95 % confidence, if the values are normally distributed; None for one run.
    All are NaN, and there is no interval, where a value is no finite number.
    """

    metric: str
    mean: float
    std: float
    min: float
    max: float
    interval: tuple[float, float] | None
    values: dict[int, float]
    curves: Curves


def summary(metric: str, curves: Curves) -> Summary:
    values = {seed: curve[-1] for seed, curve in curves.items()}
    numbers = list(values.values())
    mean, std = mean_and_std(numbers)
    if math.isnan(mean):
        return Summary(metric, mean, std, math.nan, math.nan, None, values, curves)
    return Summary(metric, mean, std, min(numbers), max(numbers), interval(mean, std, len(numbers)), values, curves)


def mean_and_std(numbers: Sequence[float]) -> tuple[float, float]:
    """NaN where a number is not finite, or where their sum or spread is larger than any float."""
    try:
        if all(map(math.isfinite, numbers)):
            return statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    except OverflowError:
        pass
    return math.nan, math.nan


def interval(mean: float, std: float, count: int) -> tuple[float, float] | None:
    """Student's, for the mean of so many runs."""
    if count < 2:
        return None
    half = student.half_width(count - 1) * std / math.sqrt(count)
    return mean - half, mean + half


def warnings(summaries: list[Summary], missing: Sequence[int] = ()) -> list[str]:
    """What a reader of the table has to know. `missing`: the seeds that have no row in it."""
    count = len(summaries[0].values)
    said = [f"no result for seed {', '.join(map(str, missing))}"] if missing else []
    if count == 1:
        said.append("one run says nothing about the spread: use at least 3 seeds, better 5 or more")
    elif count < FEW:
        width = student.half_width(count - 1) / math.sqrt(count)
        said.append(
            f"{count} runs are few: the interval reaches {width:.2f} standard deviations to either side of the mean, "
            "and differences smaller than that mean nothing"
        )
    if count > 1 and all(len(set(map(tuple, found.curves.values()))) == 1 for found in summaries):
        said.append("every seed gave the same numbers: something ignores the seed (seedbed run --audit lists what may)")
    for found in summaries:
        lost = [str(seed) for seed, value in found.values.items() if not math.isfinite(value)]
        if lost:
            said.append(f"{found.metric} is not a finite number for seed {', '.join(lost)}: no mean can be given")
    return said


def sentence(found: Summary) -> str:
    """What goes into a paper: `loss 0.531 ± 0.077 (mean ± sample std of 5 seeds; 95 % interval 0.436 to 0.626)`."""
    count = len(found.values)
    if not math.isfinite(found.mean):
        return f"{found.metric}: no mean, since not all values are finite"
    if found.interval is None:
        return f"{found.metric} {number(found.mean)} (1 seed)"
    places = decimals(found.std)
    mean, std, low, high = (f"{value:.{places}f}" for value in (found.mean, found.std, *found.interval))
    return f"{found.metric} {mean} ± {std} (mean ± sample std of {count} seeds; 95 % interval {low} to {high})"


def decimals(std: float) -> int:
    """How many show two significant digits of it; six where there is no spread."""
    return max(0, 1 - math.floor(math.log10(std))) if std else 6


def rows(summaries: list[Summary]) -> list[list[str]]:
    """The table: a header, a row a seed, then the rows that sum up."""
    table = [["seed", *(found.metric for found in summaries)]]
    for seed in summaries[0].values:
        table.append([str(seed), *(number(found.values[seed]) for found in summaries)])
    for name in ("mean", "std", "min", "max"):
        table.append([name, *(number(getattr(found, name)) for found in summaries)])
    for name, end in (("95% from", 0), ("95% to", 1)):
        table.append([name, *(number(found.interval[end]) if found.interval else "-" for found in summaries)])
    return table


def number(value: float) -> str:
    return f"{value:.6g}"


def as_text(summaries: list[Summary]) -> str:
    table = rows(summaries)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    after_seeds = 1 + len(summaries[0].values)
    return "\n".join([*lines[:after_seeds], "-" * len(lines[0]), *lines[after_seeds:], "", *map(sentence, summaries)])


def as_csv(summaries: list[Summary]) -> str:
    """A row a seed, exact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["seed", *(found.metric for found in summaries)])
    for seed in summaries[0].values:
        writer.writerow([seed, *(repr(found.values[seed]) for found in summaries)])
    return text.getvalue()


def as_json(summaries: list[Summary], description: dict, missing: Sequence[int] = ()) -> str:
    """All of it, curves too; null for what is no finite number, which JSON has no word for."""
    metrics = {
        found.metric: {name: value for name, value in vars(found).items() if name != "metric"} for found in summaries
    }
    told = {**description, "metrics": metrics, "missing": list(missing)}
    return json.dumps(finite({**told, "warnings": warnings(summaries, missing)}), indent=2, allow_nan=False)


def finite(value: object) -> object:
    """The same with None for each number in it that is not finite."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
