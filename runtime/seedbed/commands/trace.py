"""`seedbed trace`: the first operation that gives another result in another run."""

import argparse
from pathlib import Path

from seedbed import terminal
from seedbed.commands import common

EXAMPLE = "seedbed trace --hunt -- python train.py --epochs 1"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        type=common.at_least(2),
        default=4,
        metavar="N",
        help="how many runs at most, until two differ (default: 4)",
    )
    parser.add_argument("--hunt", action="store_true", help="try one change at a time to find the cause")
    common.add_seed_and_mode(parser)
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep what the runs recorded in this new or empty folder"
    )
    common.add_json(parser)
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    command = common.runnable(options)
    environ = common.environment_for(options)
    from seedbed import leftovers
    from seedbed.native import preload
    from seedbed.trace import report, search
    from seedbed.trace.hunt import hunt
    from seedbed.trace.run import Tracer

    with leftovers.Ended(), leftovers.temporary("seedbed-trace-") as temporary, preload.watch() as native:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ValueError(f"--keep {folder}: expected a new or empty folder")
        tracer = Tracer(command, environ, folder, terminal.log, native)
        finding = search.search(tracer, options.n)
        trials = hunt(tracer, finding) if options.hunt and finding.landmark else None
        terminal.show((report.as_json if options.json else report.as_text)(finding, trials))
    return 1 if finding.landmark else 0
