"""`seedbed compare`: two recorded runs."""

import argparse
from pathlib import Path

from seedbed import terminal
from seedbed.commands import common

EXAMPLE = "seedbed compare records/a records/b"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "records", nargs=2, type=Path, metavar="RECORD", help="a folder that seedbed run --record wrote"
    )
    common.add_what_counts(parser)
    common.add_json(parser)


def command(options: argparse.Namespace) -> int:
    from seedbed import compare
    from seedbed.recording import record

    a, b = map(record.read, options.records)
    verdict = compare.judge([a, b], options.tolerance, options.lines)
    terminal.show(compare.as_json(a, b, verdict) if options.json else compare.as_text(a, b, verdict))
    return 0 if verdict.outcome in ("equal", "within") else 1
