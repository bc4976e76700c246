"""What commands share: arguments, the environment for what they run, and errors of one line."""

import argparse
import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seedbed import environment, terminal
from seedbed.settings import GPU

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
        help="how much losses may differ, relative (default: 0)",
    )
    verb.add_argument("--lines", type=pattern, metavar="REGEX", help="compare what this matches in the printed lines")


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


def command_of(options: argparse.Namespace) -> list[str]:
    return options.command[1:] if options.command[:1] == ["--"] else options.command


def refuse_in_rank(verb: str) -> None:
    """SystemExit with status 2, after one line: a launcher has started this command in each of several ranks.

    They would run the training several times out of step, and judge a part of it each.
    """
    if environment.one_of_ranks(os.environ) is not None:
        source, size = environment.rank_and_source(os.environ)[1], environment.world_size(os.environ)
        this = f"this is one of {size} ranks ({source}={os.environ[source]})"
        example = f"seedbed {verb} -- torchrun --nproc-per-node {size} train.py"
        raise SystemExit(wrong(f"{verb}: {this}: put it around what starts the ranks, as in: {example}"))


def runnable(options: argparse.Namespace, verb: str, *, here: bool = True) -> list[str]:
    """The command that the verb is to run, `here` or elsewhere; SystemExit with status 2, after one line: it cannot."""
    refuse_in_rank(verb)
    command = command_of(options)
    if not command:
        raise SystemExit(wrong(f"{verb}: expected a command, as in: seedbed {verb} -- python train.py"))
    if here and not shutil.which(command[0]):
        raise SystemExit(wrong(f"{command[0]}: no such command on PATH"))
    return command


def environment_for(environ: dict[str, str], seed: str | None, mode: str | None) -> dict[str, str]:
    """`environ` with what was set before taken out, and the seed's and the mode's put in. ValueError: no such."""
    environment.adjust(environ, "off")
    environ |= {name: value for name, value in (("SEEDBED_SEED", seed), ("SEEDBED_MODE", mode)) if value is not None}
    libraries = tuple(name for name in GPU if importlib.util.find_spec(name))
    environment.adjust(environ, environment.mode(environ), libraries)
    environment.check(environ)
    return environ


@contextmanager
def errors(verb: str) -> Iterator[None]:
    """A ValueError inside ends the command, with status 2 and one line that begins with its name."""
    try:
        yield
    except ValueError as error:
        raise SystemExit(wrong(f"{verb}: {error}")) from error


def wrong(message: str, status: int = 2) -> int:
    return terminal.say(one_line(message), status)


def one_line(message: str) -> str:
    line = terminal.printable(message)
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
