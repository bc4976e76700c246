"""What every verb's command line has in common: an example in its help, errors of one line, exit status 0, 1 or 2."""

import sys
from typing import Any

import click

from builder.errors import SeedbedError

images_argument = click.argument("images", nargs=-1, metavar="[IMAGE…]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs to read.")


class Verb(click.Command):
    """A command whose help ends with an example."""

    def __init__(self, *arguments: Any, example: str, **options: Any) -> None:
        super().__init__(*arguments, epilog=f"Example: {example}", **options)


class VerbGroup(click.Group):
    """Verbs; a `SeedbedError` in one of them is said in one line and becomes the exit status."""

    command_class = Verb
    group_class = type

    def __init__(self, *arguments: Any, example: str = "", **options: Any) -> None:
        super().__init__(*arguments, epilog=f"Example: {example}" if example else None, **options)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except SeedbedError as error:
            click.echo(f"seedbed: {error}", err=True)
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            click.echo("seedbed: interrupted", err=True)
            sys.exit(130)
