"""What commands share: arguments, what they are to run, and errors of one line."""

import argparse
import os
import re
import shutil
from collections.abc import Callable

from seedbed import environment, terminal

MOST = 100_000  # runs
LONGEST_LINE = 1000


def add_seed_and_mode(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seed", help="0 to 4294967295 (default: SEEDBED_SEED, else 42)")
    verb.add_argument("--mode", help="strict, warn or off (default: SEEDBED_MODE, else strict)")


def add_what_counts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--tolerance",
        type=tolerance,
        default=0.0,
        metavar="T",
        help="losses may differ by this much, relative to the larger one (default: 0)",
    )
    verb.add_argument(
        "--lines", type=pattern, metavar="REGEX", help="compare the printed lines too, but only what this matches"
    )


def add_command(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command to run")


def add_json(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="machine-readable output")


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not environment.is_number(text) or not least <= int(text) <= MOST:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {MOST}, found {text!r}")
        return int(text)

    return number


def tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, such as 1e-6, found {text!r}")
    return number


def pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"expected a regular expression, found {text!r}: {error}") from error
    return text


def environment_for(options: argparse.Namespace, **more: str) -> dict[str, str]:
    """That of a command under the seed and mode of these options. ValueError: see `environment.for_command`."""
    return environment.for_command(os.environ, SEEDBED_SEED=options.seed, SEEDBED_MODE=options.mode, **more)


def command_of(options: argparse.Namespace) -> list[str]:
    return options.command[1:] if options.command[:1] == ["--"] else options.command


def runnable(options: argparse.Namespace, *operands: str, here: bool = True) -> list[str]:
    """The command to run several times, `here` or elsewhere; `operands` come before it. ValueError: it cannot be run.

    In each of several ranks that a launcher has started, the training would run several times out of step.
    """
    typed, command = " ".join(["seedbed", options.verb, *operands]), command_of(options)
    if environment.one_of_ranks(os.environ) is not None:
        source, size = environment.rank_and_source(os.environ)[1], environment.world_size(os.environ)
        raise ValueError(
            f"this is one of {size} ranks ({source}={os.environ[source]}): put it around what starts the ranks, "
            f"as in: {typed} -- torchrun --nproc-per-node {size} train.py"
        )
    if not command:
        raise ValueError(f"expected a command, as in: {typed} -- python train.py")
    if here and not shutil.which(command[0]):
        raise ValueError(f"{command[0]}: no such command on PATH")
    return command


def refuse_without(options: argparse.Namespace, cluster: str, *names: str) -> None:
    """ValueError: one of these options is given, which mean something only with `--on` this cluster."""
    for name in names:
        if options.on != cluster and getattr(options, name, None) is not None:
            raise ValueError(f"--{name.replace('_', '-')} is for --on {cluster}")


def wrong(message: str, status: int = 2) -> int:
    return terminal.say(one_line(message), status)


def one_line(message: str) -> str:
    line = terminal.printable(message)
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
