"""`seedbed compare`: two recorded runs."""

import argparse
import os
from pathlib import Path

from seedbed import environment, terminal
from seedbed.commands import common

EXAMPLE = "seedbed compare records/a records/b"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "records", nargs=2, type=Path, metavar="RECORD", help="a folder that seedbed run --record wrote"
    )
    common.add_what_counts(parser)
    common.add_json(parser)


def command(options: argparse.Namespace) -> int:
    with common.errors("compare"):
        environment.mode(os.environ)
        from seedbed import compare
        from seedbed.recording import record

        a, b = (record.read(path) for path in options.records)
    verdict = compare.judge([a, b], options.tolerance, options.lines)
    terminal.show(compare.as_json(a, b, verdict) if options.json else compare.as_text(a, b, verdict))
    return 0 if verdict.outcome in ("equal", "within") else 1
