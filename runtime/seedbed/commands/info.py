"""`seedbed info`: what is in force, and what breaks the promise."""

import argparse
import sys

from seedbed import terminal
from seedbed.commands import common

EXAMPLE = "seedbed info --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.add_json(parser)


def command(options: argparse.Namespace) -> int:
    loaded_at_start = "seedbed.boot" in sys.modules
    from seedbed import info

    rows = info.rows(loaded_at_start)
    terminal.show(info.as_json(rows) if options.json else info.as_text(rows))
    return 0 if all(row.holds for row in rows) else 1
