"""The curve of one metric in one run: from what the script prints, from a file that it writes, or from the record."""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

from seedbed.recording import record
from seedbed.recording.record import Record

NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf|nan)"


@dataclass(frozen=True)
class Metric:
    """`pattern`: its first group is the number in a line. `file`: a CSV or JSON file with a column or key `name`.

    With neither, it is what Keras calls so at an epoch's end, what stands behind its name in the lines printed, or,
    for `loss`, what `backward()` was called on in each step.
    """

    name: str
    pattern: str | None = None
    file: str | None = None


class Missing(ValueError):
    """A run does not have the metric."""


def curve(metric: Metric, run: Record, file: Path | None = None) -> list[float]:
    """Its values in the order in which they came; the last is the run's result. Missing: there is none."""
    values = from_file(metric.name, file) if file else from_record(metric, run)
    if not values:
        raise Missing(f"no {metric.name} found: name one that the script prints, a --pattern, or a --file it writes")
    return values


def from_record(metric: Metric, run: Record) -> list[float]:
    if metric.pattern:
        return record.series(run, metric.pattern)
    epochs = [epoch[metric.name] for rank in run.ranks[:1] for epoch in rank.epochs if metric.name in epoch]
    printed = record.series(run, rf"(?<!\w){re.escape(metric.name)}\s*[=:]?\s*{NUMBER}")
    losses = [step.loss for step in run.steps if step.loss is not None] if metric.name == "loss" else []
    return epochs or printed or losses


def from_file(name: str, file: Path) -> list[float]:
    """A column of a CSV file, or a key of a JSON document or of each line of a JSON lines file."""
    try:
        text = file.read_text()
        if file.suffix == ".csv":
            return [float(row[name]) for row in csv.DictReader(text.splitlines()) if row.get(name)]
        documents = (
            [json.loads(line) for line in text.splitlines() if line] if file.suffix == ".jsonl" else [json.loads(text)]
        )
        return [float(value) for document in documents for value in values_of(document, name)]
    except OSError as error:
        raise Missing(f"{file}: {error.strerror}; the script has to write it") from error
    except (ValueError, TypeError) as error:
        raise Missing(f"{file}: expected numbers for {name}: {error}") from error


def values_of(document: object, name: str) -> list[float]:
    """What stands there under the name, dots lead inside: one number or a list of them."""
    if isinstance(document, list):
        return [value for item in document for value in values_of(item, name)]
    for key in name.split("."):
        if not isinstance(document, dict) or key not in document:
            return []
        document = document[key]
    return document if isinstance(document, list) else [document]
