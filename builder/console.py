"""Talk and tables. Talk goes to stderr, data to stdout, so that a pipe gets data alone."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
stdout = Console(highlight=False, soft_wrap=True)


def log(message: str) -> None:
    """One line for the person at the terminal, or for the log."""
    stderr.print(message, markup=False)


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, indent=2)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as its text: a terminal wraps it, a log keeps it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table, markup=False)


def size(count: int) -> str:
    """Bytes as people say them: `2.9 GB`, of 1000 each."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{amount:.1f} GB"
        amount /= 1000
    raise AssertionError
