"""The command `seedbed` inside an image (and after `pip install ./runtime`): the parser's top."""

import argparse
import os
import signal
import sys
from importlib import import_module
from typing import NoReturn

from seedbed import crash, environment, terminal
from seedbed.commands import common

COMMANDS = {  # each a module of seedbed.commands, which is imported only for the one that is asked for
    "info": "show the settings in force; exit status 1 if something breaks the promise",
    "run": "run a command with a seed and a mode; audit it or record it",
    "verify": "run a command several times and compare the trainings bit by bit",
    "compare": "compare two recorded runs",
    "replay": "print the docker run command that repeats a recorded run",
    "golden": "compare a training with the fingerprint of this kind of machine; exit status 77 if there is none",
    "trace": "find the first operation whose result differs between runs",
    "resume": "kill a training, resume it, and compare it with an uninterrupted one",
    "sweep": "run a command with several seeds: mean, spread and plot",
}


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 the promise does not hold, 2 wrong use, 74 a file or stream fails, 130 or 143
    interrupted; `run` ends with its command's."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `seedbed info | head` ends quietly
    terminal.prepare()
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt as interrupt:
        return common.wrong("interrupted", 128 + next(iter(interrupt.args), signal.SIGINT))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return common.wrong(f"{place}{error.strerror}", terminal.EX_IOERR)
    finally:
        terminal.flush()


def run(arguments: list[str]) -> int:
    """Reports a ValueError, which is wrong use, and a command that cannot be judged, in one line."""
    options = parser(arguments).parse_args(arguments)
    try:
        if options.verb != "run":  # --seed and --mode come before them
            environment.mode(os.environ)
            environment.seed(os.environ)
        return options.function(options)
    except ValueError as error:
        return common.wrong(f"{options.verb}: {error}")
    except crash.Unfit as unfit:
        return common.wrong(f"{options.verb}: {unfit}", 1)


class Parser(argparse.ArgumentParser):
    """Shows what a user has typed as a terminal may have it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise SystemExit(terminal.say(common.one_line(message), 2, prefix=f"{self.prog}: error: "))


def parser(arguments: list[str]) -> argparse.ArgumentParser:
    """For these arguments: of the other commands it knows the names alone."""
    top = Parser(prog="seedbed", description="Training runs that repeat bit for bit.")
    verbs = top.add_subparsers(required=True, metavar="COMMAND", dest="verb")
    command = next((word for word in arguments if not word.startswith("-")), "")
    for name, text in COMMANDS.items():
        verb = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == command:
            module = import_module(f"seedbed.commands.{name}")
            module.arguments(verb)
            verb.usage = verb.format_usage().removeprefix("usage: ").rstrip().replace(" ...", " -- COMMAND")
            verb.epilog, verb.formatter_class = module.EXAMPLE, argparse.RawDescriptionHelpFormatter
            verb.set_defaults(function=module.command)
    return top
