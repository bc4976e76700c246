"""`seedbed verify`: fresh runs of one command, compared bit by bit."""

import argparse
import os
from pathlib import Path

from seedbed import environment, terminal
from seedbed.commands import common

EXAMPLE = "seedbed verify -n 3 -- python train.py --epochs 2"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", type=common.at_least(2), default=3, metavar="N", help="how many runs (default: 3)")
    parser.add_argument(
        "--parallel", type=common.at_least(1), default=1, metavar="K", help="how many runs at a time (default: 1)"
    )
    common.add_what_counts(parser)
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder to compare too; may be given several times",
    )
    parser.add_argument(
        "--data",
        action="append",
        type=Path,
        default=[],
        metavar="PATH",
        help="record the sha256 of this data before each run",
    )
    common.add_seed_and_mode(parser)
    parser.add_argument("--no-other-seed", action="store_true", help="leave out the run with another seed")
    parser.add_argument(
        "--resume", action="store_true", help="if the runs are equal, check resuming too, as seedbed resume does"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the records of all runs here")
    common.add_json(parser)
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    command = common.runnable(options)

    def environ(seed: int | None) -> dict[str, str]:
        chosen = options.seed if seed is None else str(seed)
        return environment.for_command(os.environ, SEEDBED_SEED=chosen, SEEDBED_MODE=options.mode)

    own = environ(None)
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
        report = verify.verify(plan, terminal.log)
        said = verify.as_json(report) if options.json else verify.as_text(plan, report)
        status = 0 if report.verdict.outcome in ("equal", "within") else 1
        if options.resume and not status:
            from seedbed.commands import resume

            scratch, records = Path(temporary).resolve(), plan.folder.absolute() / "resume"
            said, status = resume.after_verify(command, own, scratch, records, native, said, options.json)
        terminal.show(said)
        return status
