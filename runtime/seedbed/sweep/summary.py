"""What several seeds gave: a row a seed, and mean, spread and confidence interval of each metric."""

import csv
import io
import json
import math
import statistics
from dataclasses import asdict, dataclass

from seedbed.sweep import student

FEW = 10  # runs; with fewer, the interval is wide and the standard deviation itself uncertain

Curves = dict[int, list[float]]  # by seed, in the order of the seeds


@dataclass(frozen=True)
class Summary:
    """Of one metric's last values. `std` is the sample standard deviation (n - 1), 0 for one run.

    `interval` holds the mean with 95 % confidence, if the values are normally distributed; None for one run.
    """

    metric: str
    values: dict[int, float]
    mean: float
    std: float
    least: float
    most: float
    interval: tuple[float, float] | None


def summary(metric: str, curves: Curves) -> Summary:
    values = {seed: curve[-1] for seed, curve in curves.items()}
    numbers = list(values.values())
    if not all(map(math.isfinite, numbers)):
        return Summary(metric, values, math.nan, math.nan, math.nan, math.nan, None)
    mean, std = statistics.fmean(numbers), statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return Summary(metric, values, mean, std, min(numbers), max(numbers), interval(mean, std, len(numbers)))


def interval(mean: float, std: float, count: int) -> tuple[float, float] | None:
    """Student's, for the mean of so many runs."""
    if count < 2:
        return None
    half = student.half_width(count - 1) * std / math.sqrt(count)
    return mean - half, mean + half


def warnings(summaries: list[Summary], curves: dict[str, Curves]) -> list[str]:
    """What a reader of the table has to know."""
    count = len(summaries[0].values)
    said = []
    if count == 1:
        said.append("one run says nothing about the spread: use at least 3 seeds, better 5 or more")
    elif count < FEW:
        width = student.half_width(count - 1) / math.sqrt(count)
        said.append(
            f"{count} runs are few: the interval reaches {width:.2f} standard deviations to either side of the mean, "
            f"and differences smaller than that mean nothing"
        )
    if count > 1 and all(len({tuple(curve) for curve in metric.values()}) == 1 for metric in curves.values()):
        said.append("every seed gave the same numbers: something ignores the seed (seedbed run --audit says what may)")
    for found in summaries:
        lost = [str(seed) for seed, value in found.values.items() if not math.isfinite(value)]
        if lost:
            said.append(f"{found.metric} is not a finite number for seed {', '.join(lost)}: no mean can be given")
    return said


def rows(summaries: list[Summary]) -> list[list[str]]:
    """The table: a header, a row a seed, then the rows that sum up."""
    table = [["seed", *(found.metric for found in summaries)]]
    for seed in summaries[0].values:
        table.append([str(seed), *(number(found.values[seed]) for found in summaries)])
    for name, of in (("mean", "mean"), ("std", "std"), ("min", "least"), ("max", "most")):
        table.append([name, *(number(getattr(found, of)) for found in summaries)])
    ends = [found.interval for found in summaries]
    for name, end in (("95% from", 0), ("95% to", 1)):
        table.append([name, *(number(both[end]) if both else "-" for both in ends)])
    return table


def number(value: float) -> str:
    return f"{value:.6g}"


def as_text(summaries: list[Summary]) -> str:
    table = rows(summaries)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
    after_seeds = 1 + len(summaries[0].values)
    return "\n".join([*lines[:after_seeds], "-" * len(lines[0]), *lines[after_seeds:]])


def as_csv(summaries: list[Summary]) -> str:
    """A row a seed, exact."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["seed", *(found.metric for found in summaries)])
    for seed in summaries[0].values:
        writer.writerow([seed, *(repr(found.values[seed]) for found in summaries)])
    return text.getvalue()


def as_json(summaries: list[Summary], curves: dict[str, Curves], description: dict) -> str:
    """All of it, curves too."""
    metrics = {found.metric: asdict(found) | {"curves": curves[found.metric]} for found in summaries}
    for found in metrics.values():
        del found["metric"]
    return json.dumps({**description, "metrics": metrics, "warnings": warnings(summaries, curves)}, indent=2)
