"""What all commands have in common: an example in the help, errors of one line, exit status 0, 1 or 2."""

import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click
from docker.errors import DockerException
from requests import RequestException

from builder import console, interrupts
from builder.errors import SeedbedError, UsageError
from builder.interrupts import Interrupted
from builder.text import one_line, printable

PATH = click.Path(path_type=Path)
images_argument = click.argument("images", nargs=-1, metavar="[IMAGE…]")
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


def default_images(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `images`, the names on its command line, and `default`: whether none and `--all` are there."""

    @images_argument
    @click.option("--all", "everything", is_flag=True, help="All images, also those with `default: false`.")
    @wraps(command)
    def checked(*arguments: Any, images: Sequence[str], everything: bool, **options: Any) -> None:
        if images and everything:
            raise UsageError(f"expected names of images or --all, found both: {', '.join(images)}")
        command(*arguments, images=images, default=not (images or everything), **options)

    return checked


class Verb(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *arguments: Any, example: str, **options: Any) -> None:
        super().__init__(*arguments, epilog=f"Example: {example}", **options)


class VerbGroup(click.Group):
    """Commands; an error ends one of them with one line and an exit status."""

    command_class = Verb
    group_class = type

    def __init__(self, *arguments: Any, example: str = "", **options: Any) -> None:
        super().__init__(*arguments, epilog=f"Example: {example}" if example else None, **options)

    def main(self, *arguments: Any, **options: Any) -> Any:
        console.forget_odd_sizes()
        open_streams()
        console.show_log()
        try:
            interrupts.told_by_command = True
            try:
                sys.exit(super().main(*arguments, standalone_mode=False, **options))
            finally:
                sys.stdout.flush()
        except click.ClickException as error:
            error.message = "\n".join(map(printable, error.message.split("\n")))  # it repeats what was typed
            error.show()
            sys.exit(error.exit_code)
        except SeedbedError as error:
            fail(str(error), error.exit_status)
        except Interrupted as interrupted:
            fail(f"interrupted ({interrupted.signal})", interrupted.code)
        except BrokenPipeError:  # `./build.py list | head -1`
            fail("")
        except (DockerException, RequestException) as error:
            fail(f"the container engine: {error}")
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error))


def open_streams() -> None:
    """Accept standard streams that are closed, or in an encoding that lacks most characters.

    No other file takes the number of one that is closed; writing to a closed stdout fails.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    buffer = io.BufferedWriter(Output(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=buffer.isatty())


class Output(io.FileIO):
    """Standard output; an error while writing names it, not a file."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SeedbedError(f"output: {error.strerror}") from error


def fail(reason: str, status: Any = SeedbedError.exit_status) -> NoReturn:
    """End with one line on stderr, if it can be written. What stdout still holds is dropped."""
    with suppress(OSError):
        if reason:
            click.echo(f"seedbed: {one_line(reason)}", err=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)
