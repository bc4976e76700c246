"""The command line as a whole."""

from pathlib import Path

import click

from builder import paths
from builder.cli import attesting, changes, contents, host, make, prove, publish, show
from builder.cli.group import VerbGroup


@click.group(cls=VerbGroup)
@click.option(
    "--catalog",
    type=click.Path(path_type=Path, file_okay=False),
    default=paths.IMAGES,
    help="Folder of images; default: images.",
)
@click.pass_context
def seedbed(context: click.Context, catalog: Path) -> None:
    """Build container images for training that build to the same digest and train to the same bits."""
    context.obj = catalog


for module in (show, make, prove, attesting, changes, contents, publish, host):
    for verb in module.VERBS:
        seedbed.add_command(verb)
