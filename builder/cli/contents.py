"""What is in an image: `sbom`, what it is built from: `kit`, and what is known against it: `audit`."""

import logging
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import click

from builder import files, reading
from builder.catalog import allowed
from builder.cli import cleaning
from builder.cli.group import PATH, Verb, default_images, json_option
from builder.cli.workplace import There, workplace
from builder.console import print_json
from builder.errors import SeedbedError
from builder.image.recipe import resolve_all, resolve_one
from builder.publish import audit, kit, sbom
from builder.publish.sbom import FORMATS, Format
from builder.reading import shown

log = logging.getLogger(__name__)

SBOM = "/tmp/sbom.json"
"""Where a container writes it."""


@click.command("sbom", cls=Verb, example="./build.py sbom pytorch --format spdx --output pytorch.spdx.json")
@click.argument("image")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="cyclonedx",
    help="CycloneDX 1.6 (default) or SPDX 2.3, in JSON.",
)
@click.option("--output", metavar="FILE", type=PATH, help="Where to write; default: print it.")
@click.option("--check", metavar="FILE", type=PATH, help="Write nothing; fail if FILE is another.")
@click.pass_obj
@cleaning.in_use()
def sbom_(root: Path, image: str, form: Format, output: Path | None, check: Path | None) -> None:
    """Write an image's software bill of materials (SBOM).

    That is its Debian packages, its wheels and Seedbed's own files, with hashes and licences. Of the image last built.
    The same image has the same SBOM, byte for byte.
    """
    recipe = resolve_one(root, image)
    with workplace(root, [recipe.base]) as place:
        if isinstance(place, There):
            place.run("sbom", image, "--format", form, "--output", SBOM)
            document = place.container.read(SBOM)
        else:
            document = sbom.of_recipe(recipe, form)
    if check:
        compare(check, document, image)
    elif output:
        files.write(output, document)
    else:
        sys.stdout.write(document.decode())


def compare(found: Path, expected: bytes, image: str) -> None:
    """Raise SeedbedError unless the file is this SBOM."""
    with reading.opened(found) as file:
        lines = [line.rstrip(b"\n") for line in file]
    for number, (ours, theirs) in enumerate(zip_longest(expected.splitlines(), lines, fillvalue=b"nothing"), start=1):
        if ours != theirs:
            both = " | ".join(line.decode(errors="replace").strip()[:80] for line in (ours, theirs))
            raise SeedbedError(f"{shown(found)}:{number}: not the SBOM of {image} as built here: {both}")


@click.command("kit", cls=Verb, example="./build.py kit pytorch --output pytorch-kit.tar")
@click.argument("image", metavar="IMAGE")
@click.option(
    "--output",
    "destination",
    metavar="DIR|FILE.tar",
    required=True,
    type=PATH,
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


@click.command("audit", cls=Verb, example="./build.py audit pytorch")
@default_images
@json_option
@click.pass_obj
def audit_(root: Path, images: Sequence[str], default: bool, as_json: bool) -> None:
    """Look for known vulnerabilities of the wheels in images.

    Fails if one is not accepted in images/audit.yaml. Without IMAGE: of the default images. pip-audit asks PyPI, or
    the service with OSV's API that SEEDBED_OSV names.
    """
    verdict = audit.audit(resolve_all(root, images, default=default), allowed.load(root))
    if as_json:
        print_json(verdict.to_json())
    else:
        audit.print_verdict(verdict)
    if refused := verdict.refused:
        raise SeedbedError(f"{audit.listed(refused)}: not accepted in {allowed.FILE}; see above")
