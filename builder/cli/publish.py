"""What a build needs, and what goes with an image: `fetch` and `kit`."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import click

from builder.cli import cleaning
from builder.cli.group import Verb, default_images
from builder.cli.workplace import workplace
from builder.image import kits
from builder.image.recipe import resolve_all, resolve_one
from builder.publish import kit
from builder.reading import shown

log = logging.getLogger(__name__)


@click.command("fetch", cls=Verb, example="./build.py fetch pytorch --kit pytorch-kit.tar")
@default_images
@click.option(
    "--kit",
    "named",
    metavar="FILE|DIR",
    type=click.Path(path_type=Path),
    help="Take what Debian's archive has dropped from this rebuild kit; default: SEEDBED_KIT.",
)
@click.option("--smoke", is_flag=True, help="Also bring the wheels that the programs of the smoke tests need.")
@click.pass_obj
@cleaning.in_use()
def fetch_(root: Path, images: Sequence[str], default: bool, named: Path | None, smoke: bool) -> None:
    """Bring all that builds need into the cache.

    Debian packages and wheels: `build` and `verify` then need no network. Without IMAGE: the default images. It does
    not bring Docker, the embedded engine's programs, or the Debian image of builds in a container.
    """
    if named:
        os.environ[kits.VARIABLE] = str(named)
    recipes = resolve_all(root, images, default=default)
    with workplace(root, (recipe.base for recipe in recipes)) as place:
        for recipe in recipes:
            place.fetch(recipe, tests=smoke)


@click.command("kit", cls=Verb, example="./build.py kit pytorch --output pytorch-kit.tar")
@click.argument("image", metavar="IMAGE")
@click.option(
    "--output",
    "destination",
    metavar="DIR|FILE.tar",
    required=True,
    type=click.Path(path_type=Path),
    help="Where to write it, as an OCI layout or archive.",
)
@click.pass_obj
@cleaning.in_use()
def kit_(root: Path, image: str, destination: Path) -> None:
    """Write the rebuild kit of an image: its Debian packages.

    Debian's archive drops some of them after some weeks. With SEEDBED_KIT=FILE.tar, or `fetch --kit`, a build takes
    from it what is no longer to be had elsewhere.
    """
    recipe = resolve_one(root, image)
    with workplace(root, [recipe.base]) as place:
        place.bring_packages(recipe)
    kit.write(recipe, destination)
    log.info(f"{recipe.name}: wrote {shown(destination)}")


VERBS = (fetch_, kit_)
