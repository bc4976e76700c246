"""`seedbed compare`: two recorded runs."""

import argparse
import os
from pathlib import Path

from seedbed import environment, terminal
from seedbed.commands.arguments import add_json, add_what_counts, wrong

EXAMPLE = "seedbed compare records/a records/b"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("records", nargs=2, type=Path, metavar="RECORD", help="what seedbed run --record wrote")
    add_what_counts(parser)
    add_json(parser)


def command(options: argparse.Namespace) -> int:
    try:
        environment.mode(os.environ)
        from seedbed import compare
        from seedbed.recording import record

        a, b = (record.read(path) for path in options.records)
    except ValueError as error:
        return wrong(f"compare: {error}")
    verdict = compare.judge([a, b], options.tolerance, options.lines)
    terminal.show(compare.as_json(a, b, verdict) if options.json else compare.as_text(a, b, verdict))
    return 0 if verdict.outcome in ("equal", "within") else 1
