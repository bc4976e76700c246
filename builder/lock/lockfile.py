"""The form of all locks: a header that says what the lock was made from, then one pin a line."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from builder import reading
from builder.errors import SeedbedError
from builder.reading import shown

T = TypeVar("T")


def render(name: str, source: str, header: Mapping[str, object], pins: Iterable[object]) -> str:
    """The text of the lock of that name, which is made from `source`."""
    head = (f"# {key}: {value}" for key, value in header.items())
    return "\n".join([f"# Made by `./build.py lock {name}`: edit {source} instead.", *head, *map(str, pins), ""])


def read(path: Path, name: str, parse: Callable[[str, str], T]) -> tuple[dict[str, str], tuple[T, ...]]:
    """The header and the pins, of which `parse` reads one line, given also where it is.

    Raises `UsageError`, with what to run, if there is no such file.
    """
    header: dict[str, str] = {}
    pins = []
    for number, line in enumerate(reading.text(path, remedy(name)).splitlines(), start=1):
        if line.startswith("#"):
            key, _, value = line.removeprefix("#").partition(":")
            header[key.strip()] = value.strip()
        else:
            pins.append(parse(line, f"{shown(path)}:{number}"))
    return header, tuple(pins)


def refuse_stale(path: Path, name: str, inputs: str, now: str) -> None:
    """Raise `SeedbedError` unless the lock was made from the inputs that have this hash `now`."""
    if inputs != now:
        raise SeedbedError(f"{shown(path)}: stale, its inputs changed since it was made; {remedy(name)}")


def hash_of(inputs: Mapping[str, object]) -> str:
    """The hex sha256. Committed locks hold it, so it stays as it is: JSON as Python writes it, with sorted keys."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def remedy(name: str) -> str:
    return f"run ./build.py lock {name}"
