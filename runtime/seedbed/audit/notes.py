"""The places that an audit names, with how often each was passed, and its report."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from seedbed import callers, terminal
from seedbed.callers import Place

COLLECTED = "SEEDBED_AUDIT_FILE"  # set by `seedbed run --audit`: what each Python found goes there

places: Counter[tuple[Place, str]] = Counter()


def note(what: str) -> None:
    """Count `what` for the caller where that is the user's own code."""
    place = callers.caller()
    if place:
        note_at(place, what)


def note_with_package(what: str) -> None:
    """Count `what` for the user's line, also if it is a package that was called there which does it."""
    frame = callers.beyond(callers.PASSED_THROUGH)
    if place := callers.users_line(frame):
        package = callers.package(frame.f_code.co_filename).removesuffix(".py")
        note_at(place, f"{package}: {what}" if package else what)


def note_at(place: Place, what: str) -> None:
    places[place, what] += 1


def collect(found: dict) -> bool:
    """Hand it to `seedbed run --audit`; False: nobody collects."""
    try:
        with Path(os.environ[COLLECTED]).open("a") as together:
            together.write(json.dumps(found) + "\n")
    except (KeyError, OSError):
        return False
    return True


def rows(found: Iterable[tuple[str, int, str, int]]) -> list[str]:
    """A line for each place and what was found there, sorted; counts of the same are added up."""
    total: Counter[tuple[str, int, str]] = Counter()
    for file, line, what, count in found:
        total[file, line, what] += count
    return [
        f"{file}:{line}  {f'{count} times  ' if count > 1 else ''}{what}" if line else f"{file}  {what}"
        for (file, line, what), count in sorted(total.items())
    ]


def show(rows: list[str], rest: list[str]) -> None:
    """The report, on stderr."""
    terminal.log(f"audit: places to look at: {len(rows) or 'none'}")
    for row in [*rows, *rest]:
        terminal.log(row, prefix="  ")
