"""`seedbed verify`: fresh runs of one command, compared bit by bit."""

import argparse
import os
from pathlib import Path

from seedbed import terminal
from seedbed.commands.arguments import (
    add_command,
    add_json,
    add_seed_and_mode,
    add_what_counts,
    at_least,
    command_of,
    complaint_about,
    environment_for,
    wrong,
)

EXAMPLE = "seedbed verify -n 3 -- python train.py --epochs 2"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", type=at_least(2), default=3, metavar="N", help="how many runs (default: 3)")
    parser.add_argument("--parallel", type=at_least(1), default=1, metavar="K", help="how many at a time (default: 1)")
    add_what_counts(parser)
    parser.add_argument(
        "--output", action="append", default=[], metavar="PATH", help="a file or folder that counts too"
    )
    parser.add_argument("--data", action="append", type=Path, default=[], metavar="PATH", help="fingerprint these data")
    add_seed_and_mode(parser)
    parser.add_argument("--no-other-seed", action="store_true", help="do without the run with another seed")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the records of all runs here")
    add_json(parser)
    add_command(parser)


def command(options: argparse.Namespace) -> int:
    command = command_of(options)
    if complaint := complaint_about(command, "verify"):
        return wrong(complaint)

    def environ(seed: int | None) -> dict[str, str]:
        return environment_for(dict(os.environ), options.seed if seed is None else str(seed), options.mode)

    try:
        environ(None)
    except ValueError as error:
        return wrong(f"verify: {error}")
    from seedbed import leftovers, verify
    from seedbed.native import preload

    with leftovers.Ended(), leftovers.temporary("seedbed-") as temporary, preload.watch() as native:
        plan = verify.Plan(
            command,
            environ,
            options.keep or Path(temporary),
            runs=options.n,
            parallel=options.parallel,
            tolerance=options.tolerance,
            pattern=options.lines,
            outputs=tuple(options.output),
            data=tuple(options.data),
            other_seed=not options.no_other_seed,
            native=native,
        )
        try:
            report = verify.verify(plan, terminal.log)
        except ValueError as error:
            return wrong(f"verify: {error}")
        except verify.Unfit as unfit:
            return wrong(f"verify: {unfit}", 1)
        terminal.show(verify.as_json(report) if options.json else verify.as_text(plan, report))
        return 0 if report.verdict.outcome in ("equal", "within") else 1
