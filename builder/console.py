"""Progress and tables. Progress goes to stderr, data to stdout, so that a pipe gets only data."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from builder.text import printable

log = logging.getLogger(__name__)


def forget_odd_sizes() -> None:
    """A terminal's size that is no number: rich takes what Python calls digits, such as `²`, for one."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "0")
        if not (size.isascii() and size.isdecimal()):
            del os.environ[name]


forget_odd_sizes()
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


class Lines(logging.Handler):
    """Each message as one line on stderr, for the person at the terminal or for a CI's log."""

    def emit(self, record: logging.LogRecord) -> None:
        stderr.print(printable(record.getMessage()), markup=False)


def show_log() -> None:
    """Let people read what the builder's modules log."""
    logger = logging.getLogger("builder")
    logger.setLevel(logging.INFO)
    logger.handlers = [Lines()]


SHOWN = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), BarColumn())
bars = Progress(*SHOWN, console=stderr, transient=True, disable=not stderr.is_terminal)
changing = threading.Lock()
"""A terminal has room for one display: of all steps that are going on, as long as there is one."""


@contextmanager
def step(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Something that takes a while, in `total` parts: call what is given after each of them.

    A terminal sees a bar move; what stays, there and in a log, is one line with the seconds it took.
    """
    began = time.monotonic()
    with changing:
        bars.start()
        task = bars.add_task(what, total=total)
    try:
        yield lambda: bars.advance(task)
    finally:
        with changing:
            bars.remove_task(task)
            if not bars.tasks:
                bars.stop()
    log.info(f"{what}: {time.monotonic() - began:.1f} s")


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as its text: a terminal wraps it, a log keeps it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table, markup=False)


def print_line(text: str) -> None:
    """Print a line of data; control characters in it are escaped."""
    print(printable(text))


def size(count: int) -> str:
    """Bytes in a readable form, in powers of 1000: `2.9 GB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
