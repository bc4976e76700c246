"""`seedbed run`: a command in the environment asked for."""

import argparse
import os
import shutil
import time
from functools import partial
from pathlib import Path

from seedbed import environment, terminal
from seedbed.commands import common, on_kubernetes
from seedbed.settings import PORTABLE

EXAMPLE = "seedbed run --seed 7 -- python train.py --epochs 3"


def arguments(parser: argparse.ArgumentParser) -> None:
    common.add_seed_and_mode(parser)
    parser.add_argument(
        "--portable", action="store_true", help="one thread, AVX2, no TF32: results depend less on the machine"
    )
    parser.add_argument("--audit", action="store_true", help="list at exit what does not repeat, and where")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="record the training step by step in this folder")
    parser.add_argument("--on", choices=["kubernetes"], help="print manifests for kubectl apply, and run nothing")
    on_kubernetes.arguments_of_training(parser)
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    """Become the command, in the environment asked for."""
    command = common.command_of(options)
    if not command:
        raise ValueError("expected a command, as in: seedbed run --seed 7 -- python train.py")
    common.refuse_without(options, "kubernetes", *on_kubernetes.OPTIONS)
    if options.on == "kubernetes":
        terminal.show(on_kubernetes.training(options, command).rstrip("\n"))
        return 0
    try:
        environ = common.environment_for(options, **(PORTABLE if options.portable else {}))
    except ValueError as error:
        return common.wrong(str(error))  # in the entrypoint's words
    program = shutil.which(command[0])
    if program is None:
        return common.wrong(f"{command[0]}: no such command on PATH", 127)
    if options.audit:
        environ["SEEDBED_AUDIT"] = "1"
    announce(environ)
    if options.audit or options.record:
        from seedbed import leftovers

        with leftovers.Ended():
            return run_watched(options, program, command, environ)
    os.execve(program, command, environ)


def announce(environ: dict[str, str]) -> None:
    """The entrypoint's line."""
    if environ.get("SEEDBED_QUIET") == "1":
        return
    seed, mode = environment.seed(environ), environment.mode(environ)
    line = {
        "strict": f"seed {seed}, mode strict, threads {environ.get('OMP_NUM_THREADS')}",
        "warn": f"seed {seed}, mode warn (the backward pass of attention is not deterministic), "
        f"threads {environ.get('OMP_NUM_THREADS')}",
        "off": "mode off (nothing is seeded)",
    }[mode]
    image = f", image {environ['SEEDBED_IMAGE']}" if "SEEDBED_IMAGE" in environ else ""
    ended = environ.get("SEEDBED_END_OF_LIFE", "")
    if ended and time.strftime("%Y-%m-%d", time.gmtime()) > ended:
        image += f" (end of life since {ended})"
    terminal.log(f"{line}{image}")


def run_watched(options: argparse.Namespace, program: str, command: list[str], environ: dict[str, str]) -> int:
    if not options.audit:
        return run_recorded(command, options.record, environ)
    from seedbed import run

    recorded = partial(run_recorded, command, options.record)
    return run.audited(environ, recorded if options.record else partial(run.as_child, program, command))


def run_recorded(command: list[str], folder: Path, environ: dict[str, str]) -> int:
    from seedbed.recording import launch

    status = launch.record_run(command, folder, environ, echo=True)
    return status if status >= 0 else 128 - status  # as a shell tells a signal
