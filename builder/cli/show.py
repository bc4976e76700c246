"""Commands that only read: `list`, `show` and `report`. None of them needs an engine."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from builder.catalog import models
from builder.catalog.models import Catalog, Image
from builder.cli.group import Verb, default_images, json_option
from builder.cli.workplace import There, workplace
from builder.console import print_json
from builder.errors import SeedbedError
from builder.image import build, listing, recipe, report
from builder.image.record import Record


@click.command("list", cls=Verb, example="./build.py list --json")
@json_option
@click.pass_obj
def list_(root: Path, as_json: bool) -> None:
    """Show every image: tag, digest, size, layers, smoke tests."""
    catalog = models.load(root)
    summaries = listing.with_own({image.name: summary(catalog, image) for image in catalog.select(())})
    if as_json:
        print_json({"images": summaries})
    else:
        listing.print_summaries(summaries)


def summary(catalog: Catalog, image: Image) -> dict[str, Any]:
    try:
        resolved = recipe.resolve(catalog, image)
    except SeedbedError as error:
        return listing.of_stale(image, str(error))
    return listing.summary(resolved, build.find(resolved))


def all_built(root: Path) -> dict[str, Record]:
    """The record of each image of the catalog that is built; of one whose lock is stale nothing is."""
    catalog = models.load(root)
    found = {}
    for image in catalog.select(()):
        with suppress(SeedbedError):
            found[image.name] = build.find(recipe.resolve(catalog, image))
    return {name: built for name, built in found.items() if built}


@click.command(cls=Verb, example="./build.py show pytorch")
@click.argument("image")
@json_option
@click.pass_obj
def show(root: Path, image: str, as_json: bool) -> None:
    """Show one image: what image.yaml and its lock say, layer by layer."""
    details = listing.details(recipe.resolve_one(root, image))
    if as_json:
        print_json(details)
    else:
        listing.print_details(details)


@click.command("report", cls=Verb, example="./build.py report pytorch")
@default_images
@json_option
@click.pass_obj
def report_(root: Path, images: Sequence[str], default: bool, as_json: bool) -> None:
    """Show the sizes of layers and packages.

    Fails if an image exceeds its size budget. Without IMAGE: of the default images.
    """
    wanted = recipe.resolve_all(root, images, default=default)
    with workplace(root, (each.base for each in wanted)) as place:
        if isinstance(place, There):
            place.run("report", *(each.name for each in wanted), *(["--json"] if as_json else []))
            return
    records = all_built(root)
    if missing := [each.name for each in wanted if each.name not in records]:
        raise SeedbedError(f"{', '.join(missing)}: not built; run ./build.py build {' '.join(missing)}")
    weights = {each.name: report.weigh(each, records) for each in wanted}
    if as_json:
        print_json({"images": weights})
    else:
        for name, weight in weights.items():
            report.print_weight(name, weight)
    for each in wanted:
        build.check_budget(each.image, records[each.name])
