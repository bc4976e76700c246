"""The machine that builds: `doctor`, `engine` and `clean`."""

import logging
import shlex

import click

from builder.cli import cleaning
from builder.cli.group import Verb, VerbGroup, json_option
from builder.console import print_json, print_table
from builder.engine import client
from builder.engine import doctor as diagnosis
from builder.errors import SeedbedError

log = logging.getLogger(__name__)


@click.command("doctor", cls=Verb, example="./build.py doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Show what this host lacks for builds, and how to get it."""
    findings = diagnosis.examine()
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        print_table(("", "", ""), [(finding.name, finding.found, finding.remedy or "ok") for finding in findings])
    if any(finding.remedy for finding in findings):
        raise SeedbedError("something is missing, see above")


@click.group(cls=VerbGroup, example='eval "$(./build.py engine env)"')
def engine() -> None:
    """Start, stop and use the embedded engine, if no other answers."""


@engine.command(example="./build.py engine up")
@cleaning.in_use()
def up() -> None:
    """Start it, unless it is running."""
    started = client.embedded().up()
    log.info("the embedded engine " + ("is up" if started else "was up already"))


@engine.command(example="./build.py engine down")
def down() -> None:
    """Stop it and everything in it; images stay."""
    stopped = client.embedded().down()
    log.info("the embedded engine " + ("is down" if stopped else "was not running"))


@engine.command(example='eval "$(./build.py engine env)"')
def env() -> None:
    """Print the variables that make docker, docker compose and docker buildx use it."""
    for name, value in client.embedded().environment().items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command(cls=Verb, example="./build.py clean")
@click.option("--all", "everything", is_flag=True, help="Delete downloads and the embedded engine's data too.")
def clean(everything: bool) -> None:
    """Delete layers and records of builds.

    With --all also downloads and the embedded engine's data.
    """
    cleaning.clean(everything)
