"""Commands of build.py in the process of the test."""

from pathlib import Path

import click

from builder.errors import SeedbedError


def run(command: click.Command, root: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of the command on the catalog in `root`, and the line that says why it is not 0."""
    try:
        command.main([*arguments], obj=root, standalone_mode=False)
    except SeedbedError as error:
        return error.exit_status, str(error)
    return 0, ""
