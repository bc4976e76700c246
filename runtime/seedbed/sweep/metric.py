"""The curve of one metric in one run: from what the script prints, from a file that it writes, or from the record."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from seedbed import files
from seedbed.recording import record
from seedbed.recording.record import Record

NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:inf|nan))(?!\w)"
BETWEEN = r"""["']?(?:\s*[=:]\s*|\s+)"""  # a name and its number, as in loss=1, loss: 1, "loss": 1
OF_NAME = r"\w/.-"  # characters: train/loss is another name than loss
NAMED_NUMBER = re.compile(rf"([A-Za-z][{OF_NAME}]{{0,60}}){BETWEEN}{NUMBER}")  # no end: quadratic in a line's length
MOST_NAMES = 12
LARGEST = 1024 * files.MIB


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
    """A run does not have the metric; the message says what it has instead."""


def curve(metric: Metric, run: Record, file: Path | None = None) -> list[float]:
    """Its values in the order in which they came; the last is the run's result. Missing: there is none."""
    if file:
        return from_file(metric.name, file)
    return matched(metric.pattern, run) if metric.pattern else from_record(metric.name, run)


def matched(pattern: str, run: Record) -> list[float]:
    try:
        values = record.series(run, pattern)
    except ValueError as error:
        raise Missing(f"--pattern {pattern}: expected a number in its first group: {error}") from error
    if not values:
        last = run.output[-1] if run.output else "nothing"
        raise Missing(f"--pattern {pattern} matches none of the {len(run.output)} printed lines; the last one: {last}")
    return values


def from_record(name: str, run: Record) -> list[float]:
    epochs = [epoch[name] for rank in run.ranks[:1] for epoch in rank.epochs if name in epoch]
    printed = record.series(run, rf"(?<![{OF_NAME}]){re.escape(name)}{BETWEEN}{NUMBER}")
    losses = [step.loss for step in run.steps if step.loss is not None] if name == "loss" else []
    if not (values := epochs or printed or losses):
        raise Missing(f"no {name} in its output; found there: {listed(names_seen(run))} (use --pattern or --file)")
    return values


def names_seen(run: Record) -> Iterable[str]:
    """What could have been asked for."""
    yield from (name for rank in run.ranks[:1] for epoch in rank.epochs for name in epoch)
    yield from (name for line in run.output for name, _ in NAMED_NUMBER.findall(line))
    if any(step.loss is not None for step in run.steps):
        yield "loss"


def listed(names: Iterable[str]) -> str:
    """Each once, the first dozen."""
    found = list(dict.fromkeys(names))
    return ", ".join(found[:MOST_NAMES] + ["…"] * (len(found) > MOST_NAMES)) or "no number with a name"


def from_file(name: str, file: Path) -> list[float]:
    """A column of a CSV file, or a key of a JSON document or of each line of a JSON lines file."""
    try:
        content = files.read(file, LARGEST)
    except ValueError as error:
        raise Missing(f"{error}; the script must write it") from error
    try:
        documents = documents_of(content.decode("utf-8-sig"), file.suffix)
        values = [float(value) for document in documents for value in values_of(document, name)]
        seen = "" if values else listed(keys_of(documents))
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise Missing(f"{file}: expected numbers for {name}: {error}") from error
    if not values:
        raise Missing(f"{file}: no {name} in it; found there: {seen}")
    return values


def documents_of(text: str, kind: str) -> list:
    """The rows of a CSV file, the lines of a JSON lines file, or the one document of a JSON file."""
    lines = io.StringIO(text, newline=None)  # not splitlines, which takes more than ends of lines for one
    if kind == ".csv":
        return list(csv.DictReader(lines))
    documents = [line for line in lines if line.strip()] if kind == ".jsonl" else [text]
    return [files.parsed(document, parse_int=float) for document in documents]  # an int may be larger than any float


def values_of(document: object, name: str) -> list:
    """What stands there under the name, dots lead inside: one number or a list of them; nothing where it is empty."""
    if isinstance(document, list):
        return [value for item in document for value in values_of(item, name)]
    if isinstance(document, dict) and name in document:
        found = document[name]
        return found if isinstance(found, list) else [value for value in [found] if value not in ("", None)]
    outer, dot, inner = name.partition(".")
    return values_of(document[outer], inner) if dot and isinstance(document, dict) and outer in document else []


def keys_of(document: object) -> Iterable[str]:
    if isinstance(document, list):
        for item in document:
            yield from keys_of(item)
    elif isinstance(document, dict):
        yield from map(str, document)
