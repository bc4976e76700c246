"""The command line as a whole."""

from pathlib import Path

import click

from builder import paths
from builder.cli import changes, contents, host, make, prove, show
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


for command in (
    *(show.list_, show.show, show.report_),
    *(make.lock, make.render, make.fetch_, make.build_),
    *(prove.smoke_, prove.verify_, prove.attest_, prove.push_),
    *(contents.sbom_, contents.kit_, contents.audit_),
    *(changes.diff_, host.doctor, host.engine, host.clean),
):
    seedbed.add_command(command)
