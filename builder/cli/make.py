"""From image.yaml to an image: `lock`, `render`, `fetch` and `build`."""

import logging
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import click

from builder.catalog import models
from builder.cli import cleaning
from builder.cli.group import PATH, Verb, default_images, images_argument
from builder.cli.workplace import There, workplace
from builder.console import print_line
from builder.engine import client
from builder.errors import SeedbedError, UsageError
from builder.image import build, digest, dockerfile, kits, output, pages, rendered
from builder.image.build import Options
from builder.image.recipe import resolve_all
from builder.lock import packages, programs, requirements
from builder.reading import shown

log = logging.getLogger(__name__)


@click.command("lock", cls=Verb, example="./build.py lock pytorch --cutoff 2026-11-20")
@images_argument
@click.option("--check", is_flag=True, help="Change nothing, use no network; fail if a lock is stale.")
@click.option("--cutoff", metavar="DATE", help="Use only wheels published before this day (UTC); default: today.")
@click.pass_obj
def lock(root: Path, images: Sequence[str], check: bool, cutoff: str | None) -> None:
    """Resolve Debian packages and wheels, and write the locks.

    Without IMAGE all locks: images that share layers are locked together.
    """
    catalog = models.load(root)
    moment = requirements.moment(cutoff)
    bases = catalog.select_bases(images)
    with nullcontext() if check else workplace(root, bases) as place:
        for base in bases:
            if place:
                place.lock(base, moment)
            packages.check(base)
            if not isinstance(place, There):  # there it has been said
                log.info(f"{base.name}: {base.lock_path.name} is fresh")
    for image in catalog.select(images):
        if not check:
            requirements.write(image, requirements.make(catalog, image, moment))
        locked, _ = requirements.check(catalog, image)
        log.info(f"{image.name}: {image.lock_path.name} is fresh")
        for scripts in programs.locked_beside(image):
            if not check:
                requirements.write(scripts, programs.make(scripts, locked, moment))
            programs.check(scripts, locked)
            log.info(f"{image.name}: {shown(scripts.lock_path)} is fresh")


@click.command("render", cls=Verb, example="./build.py render --check")
@images_argument
@click.option("--check", is_flag=True, help="Change nothing; show the differences, and fail if there are any.")
@click.pass_obj
def render(root: Path, images: Sequence[str], check: bool) -> None:
    """Render Dockerfiles and pages from templates, image.yaml and locks.

    Without IMAGE: the Dockerfiles of all images. Always of all images: the pages in docs/images, and the tables in
    README.md and docs/programs.md.
    """
    texts = {recipe.image.dockerfile_path: dockerfile.render(recipe) for recipe in resolve_all(root, images)}
    outdated = []
    for path, text in (texts | pages.texts(root)).items():
        if check and (difference := rendered.difference(path, text)):
            for line in difference.splitlines():
                print_line(line)
            outdated.append(str(shown(path)))
        elif not check and rendered.write(path, text):
            log.info(f"{shown(path)}: rendered")
    if outdated:
        raise SeedbedError(f"{', '.join(outdated)}: out of date, see above; run ./build.py render")


@click.command("fetch", cls=Verb, example="./build.py fetch pytorch --kit pytorch-kit.tar")
@default_images
@click.option(
    "--kit",
    "named",
    metavar="FILE|DIR",
    type=PATH,
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


@click.command("build", cls=Verb, example="./build.py build pytorch")
@default_images
@click.option("--locked", is_flag=True, help="Fail if a locked Debian package is no longer available.")
@click.option("--check", is_flag=True, help="Fail if the digest differs from the digest of record.")
@click.option("--record", is_flag=True, help="Write the digest of record, images/IMAGE/digest.")
@click.option(
    "--output",
    "destination",
    metavar="DIR|FILE.tar",
    type=PATH,
    help="Also write the image there, as an OCI layout or archive.",
)
@click.option("--recipe", is_flag=True, help="Dockerfile build: BuildKit runs the Dockerfile. Other digest, no record.")
@click.option(
    "--base",
    type=click.Choice(["bootstrap", "registry"]),
    default="bootstrap",
    help="Debian from locked packages (default), or from an image in a registry (implies --recipe).",
)
@click.option("--no-cache", is_flag=True, help="Build even if nothing changed.")
@click.pass_obj
@cleaning.in_use()
def build_(
    root: Path,
    images: Sequence[str],
    default: bool,
    *,
    locked: bool,
    check: bool,
    record: bool,
    destination: Path | None,
    recipe: bool,
    base: str,
    no_cache: bool,
) -> None:
    """Build images; tags come with `smoke`, when its tests pass.

    Without IMAGE: the default images. No Docker is needed. If an engine answers, the images are loaded into it.
    """
    registry = base == "registry"
    options = Options(locked or record, dockerfile=recipe or registry, registry=registry, cached=not no_cache)
    if options.dockerfile and (check or record or destination):
        raise UsageError("--check, --record and --output exclude --recipe: a Dockerfile build has another digest")
    recipes = resolve_all(root, images, default=default)
    if destination and len(recipes) != 1:
        raise UsageError(f"--output {destination}: name one image, for it holds one")
    if options.dockerfile:
        for each in recipes:
            build.build(each, options, client.connect)
        return
    differing = []
    with workplace(root, (each.base for each in recipes)) as place:
        for each in recipes:
            if (ended := each.image.past_end_of_life) and not isinstance(place, There):
                log.info(f"{each.name}: end of life since {ended.date}: {ended.note}")
            built = place.build_and_load(each, options)
            if record:
                digest.write(each, built)
            elif complaint := digest.complaint(each, built, expected=check):
                if not isinstance(place, There):  # there it has been said
                    log.info(complaint)
                differing += [each.name] if built.locked else []
            if destination:
                place.bring(built)
                output.write(built, destination)
    if check and differing:
        raise SeedbedError(f"{', '.join(differing)}: not the digest of record, see above")
