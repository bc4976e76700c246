"""`seedbed sweep`: a command under several seeds, with mean, spread and plot."""

import argparse
import os
from pathlib import Path

from seedbed import terminal
from seedbed.commands import common

EXAMPLE = "seedbed sweep --seeds 5 --metric accuracy -- python train.py --output '{folder}'"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", default="5", metavar="K", help="how many, or which: 1,7,42 (default: 5, from 42 on)")
    parser.add_argument("--metric", action="append", metavar="NAME", help="what to sum up; may be given several times")
    parser.add_argument(
        "--pattern", type=common.pattern, metavar="REGEX", help="its first group is the metric in a line printed"
    )
    parser.add_argument(
        "--file", metavar="PATH", help="a CSV or JSON file with the metric; {folder}, {seed}: the run's own"
    )
    parser.add_argument(
        "--parallel",
        type=common.at_least(1),
        nargs="?",
        const=None,
        default=1,
        metavar="K",
        help="how many at a time; without a number, one on each GPU, or else on each CPU (default: 1)",
    )
    parser.add_argument("--output", type=Path, default=Path("sweep"), metavar="FOLDER", help="(default: sweep)")
    parser.add_argument("--mode", help="strict or warn (default: SEEDBED_MODE, else strict)")
    common.add_json(parser)
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    command = common.command_of(options)
    if complaint := common.complaint_about(command, "sweep"):
        return common.wrong(complaint)
    from seedbed import leftovers
    from seedbed.sweep import verb

    def environ(seed: int, threads: str | None) -> dict[str, str]:
        limits = {"OMP_NUM_THREADS": threads} if threads else {}
        return common.environment_for({**os.environ, **limits}, str(seed), options.mode)

    try:
        metrics, plan = verb.metrics_of(options), verb.plan_of(options, command, environ)
        with leftovers.Ended():
            return verb.sweep(metrics, plan, terminal.log, as_json=options.json)
    except ValueError as error:
        return common.wrong(f"sweep: {error}")
    except KeyboardInterrupt:
        terminal.log("sweep: the same command goes on where it stopped")
        raise
