"""`seedbed sweep`: a command under several seeds, with mean, spread and plot."""

import argparse
import os
from pathlib import Path

from seedbed import terminal
from seedbed.commands import common, on_kubernetes

EXAMPLE = "seedbed sweep --seeds 5 --metric accuracy -- python train.py --output '{folder}'"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seeds", default="5", metavar="K", help="how many, starting at SEEDBED_SEED, or which: 1,7,42 (default: 5)"
    )
    parser.add_argument(
        "--metric", action="append", metavar="NAME", help="the metric to summarise; may be given several times"
    )
    parser.add_argument(
        "--pattern", type=common.pattern, metavar="REGEX", help="the first group matches the metric in a printed line"
    )
    parser.add_argument(
        "--file", metavar="PATH", help="a CSV or JSON file with the metric; {folder} and {seed} are those of each run"
    )
    parser.add_argument(
        "--parallel",
        type=common.at_least(1),
        nargs="?",
        const=0,
        metavar="K",
        help="how many runs at a time; without a number, one per GPU or else one per CPU (default: 1, with --on: all)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("sweep"), metavar="FOLDER", help="folder for the results (default: sweep)"
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--only",
        type=common.at_least(0),
        metavar="INDEX",
        help="run only this seed (the first is 0) and make no table: other machines run the others",
    )
    part.add_argument("--table", action="store_true", help="run nothing; make the table of the seeds that have ended")
    parser.add_argument(
        "--on",
        choices=["kubernetes", "slurm"],
        help="a cluster, with a job for each seed: slurm runs them, kubernetes prints manifests for kubectl apply",
    )
    parser.add_argument("--mode", help="strict or warn (default: SEEDBED_MODE, else strict)")
    of_slurm = parser.add_argument_group("with --on slurm")
    of_slurm.add_argument(
        "--sbatch", metavar="OPTIONS", help="what each job asks for, as in --sbatch='--gpus=1 --time=2:00:00'"
    )
    of_slurm.add_argument(
        "--sbatch-table", metavar="OPTIONS", help="what the job that makes the table asks for; it needs no GPU"
    )
    of_slurm.add_argument(
        "--launcher", metavar="COMMAND", help="what runs a job in an image, as in 'apptainer exec --nv image.sif'"
    )
    on_kubernetes.arguments(parser)
    common.add_json(parser)
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    refuse_together(options)
    if options.on is None and (options.table or options.only is not None):
        os.environ.pop("JOB_COMPLETION_INDEX", None)  # on Kubernetes it says which seed this is: it is no rank
    command = common.runnable(options, here=options.launcher is None and options.on != "kubernetes")
    if options.on == "kubernetes":
        terminal.show(on_kubernetes.sweep(options, command).rstrip("\n"))
        return 0
    from seedbed import leftovers
    from seedbed.sweep import plan, runs, table

    metrics = plan.metrics_of(options)
    if options.on == "slurm":
        from seedbed.sweep.slurm import jobs, scripts

        return jobs.sweep(scripts.batch_of(options, command))
    planned = plan.plan_of(options, command)
    try:
        with leftovers.Ended():
            if options.only is not None:
                return int(runs.one(planned, options.only).status != 0)
            found = runs.ended(planned) if options.table else runs.sweep(planned)
            return table.make(planned, metrics, found, as_json=options.json)
    except KeyboardInterrupt:
        terminal.log("sweep: give the same command again to continue")
        raise


def refuse_together(options: argparse.Namespace) -> None:
    """ValueError: these options do not go together."""
    common.refuse_without(options, "slurm", "sbatch", "sbatch_table", "launcher")
    common.refuse_without(options, "kubernetes", *on_kubernetes.OPTIONS)
    if options.on and options.only is not None:
        raise ValueError(f"--on {options.on} runs all seeds: leave out --only")
    if options.on == "slurm" and options.table:
        raise ValueError("--on slurm makes the table, too: leave out --table")
    if options.only is not None and options.parallel is not None:
        raise ValueError("leave out --parallel with --only, which runs one seed")
