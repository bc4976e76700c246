"""Commands that test, verify and publish images: `smoke`, `verify`, `attest` and `push`."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from builder import files
from builder.catalog import models
from builder.cli import cleaning
from builder.cli.group import PATH, Verb, default_images, json_option
from builder.cli.workplace import There, workplace
from builder.console import print_json, print_line
from builder.engine import client
from builder.errors import SeedbedError, UsageError
from builder.image import build, digest, listing, tags
from builder.image.recipe import resolve_all, resolve_one
from builder.oci import registry
from builder.oci.registry import Repository
from builder.oci.store import DIGEST
from builder.publish import attest, push, signing, statements
from builder.publish.attest import Attested
from builder.reproduce import diff, verify
from builder.smoke import smoke
from builder.smoke.smoke import Gpu


@click.command("smoke", cls=Verb, example="./build.py smoke pytorch --gpu require")
@default_images
@click.option(
    "--gpu", type=click.Choice(["auto", "require", "off"]), default="auto", help="auto: if the engine offers GPUs."
)
@click.option(
    "--host",
    is_flag=True,
    expose_value=False,
    help="Test the Python at hand instead, without engine or network; see smoke --host --help.",
)
@click.option("--full", is_flag=True, help="Run all programs of each image, not only those named in `quick`.")
@click.option("--record", is_flag=True, help="Write what programs came to, images/IMAGE/programs.json.")
@click.pass_obj
@cleaning.in_use()
def smoke_(root: Path, images: Sequence[str], default: bool, gpu: Gpu, full: bool, record: bool) -> None:
    """Test the images last built, and tag those that pass.

    Without IMAGE: the default images. Needs a Docker engine.
    """
    wanted = resolve_all(root, images, default=default)
    tested = {recipe.name: smoke.test(recipe, client.connect(), gpu, full, record) for recipe in wanted}
    listing.print_summaries({recipe.name: listing.summary(recipe, tested[recipe.name]) for recipe in wanted})
    if failed := [name for name, result in tested.items() if not result.tested]:
        raise SeedbedError(f"{', '.join(failed)}: smoke tests failed, so there is no tag; see the table")


@click.command("verify", cls=Verb, example="./build.py verify pytorch --json")
@default_images
@click.option(
    "--against",
    metavar="REF|FILE",
    help="Compare with this image: in a registry, in an engine, or an OCI layout or archive; "
    "default: the digest of record, else the last build.",
)
@click.option("--vary", is_flag=True, help="Rebuild as if on another machine, and find the difference that matters.")
@click.option(
    "--attested-by",
    "signers",
    metavar="N",
    type=click.IntRange(1),
    help="Rebuild nothing: check that N others have, of those with a key in --keys. IMAGE may be one in a registry.",
)
@click.option("--keys", metavar="FOLDER", type=PATH, help="Public keys, FILE.pem, one a signer.")
@click.option(
    "--statements",
    "given",
    metavar="PATH",
    type=PATH,
    multiple=True,
    help="A file from ./build.py attest, or a folder of them; those attached in the registry count as well.",
)
@json_option
@click.pass_obj
@cleaning.in_use()
def verify_(
    root: Path,
    images: Sequence[str],
    default: bool,
    *,
    against: str | None,
    vary: bool,
    signers: int | None,
    keys: Path | None,
    given: Sequence[Path],
    as_json: bool,
) -> None:
    """Rebuild images, and prove that they are the same to the last byte.

    It uses no cache but downloads. Without IMAGE: the default images, one after the other. It needs no earlier build.
    """
    if signers or keys or given:
        if not (signers and keys and len(images) == 1) or against or vary:
            raise UsageError("--attested-by: expected one image, --keys FOLDER, and neither --against nor --vary")
        attested = count(root, images[0], keys, given)
        if as_json:
            print_json(attested.to_json())
        else:
            attest.print_attested(attested)
        attest.check(attested, signers)
        return
    if (against or as_json) and len(images) != 1:
        raise UsageError(f"{'--against' if against else '--json'}: name one image, for it is about one")
    recipes = resolve_all(root, images, default=default)
    differing = []
    with workplace(root, (recipe.base for recipe in recipes)) as place:
        if isinstance(place, There):
            options = [*(["--vary"] if vary else []), *(["--json"] if as_json else [])]
            place.verify([recipe.name for recipe in recipes], against, *options)
            return
        for recipe in recipes:
            verdict = verify.verify(recipe, root, connect=client.connect, against=against, vary=vary)
            if as_json:
                print_json(verdict.to_json())
            else:
                verify.print_verdict(verdict)
            differing += [] if verdict.comparison.equal else [recipe.name]
    if differing:
        raise SeedbedError(f"{', '.join(differing)}: the rebuild has a different digest, see above")


def count(root: Path, name: str, keys: Path, given: Sequence[Path]) -> Attested:
    """Whose word there is for an image: of the catalog, in a registry, or in an OCI layout or archive.

    Statements are those in files and folders, and those that are attached to the image in its registry.
    """
    known = signing.keys_in(keys)
    wanted, repository = named(root, name)
    if not (repository or given):
        raise UsageError("--attested-by: nowhere to look for statements: set SEEDBED_REPOSITORY, or give --statements")
    attached = attest.attached(repository, wanted) if repository else []
    return attest.count(wanted, [*attest.given_in(given), *attached], known)


def named(root: Path, name: str) -> tuple[str, Repository | None]:
    """The image's digest, and the repository that has it, if one has."""
    if name in models.load(root).images:
        recorded = digest.read(resolve_one(root, name))
        if recorded is None:
            raise UsageError(f"{name}: has no digest of record; name an image in a registry")
        place = tags.published()
        return recorded, published(name, place) if place else None
    if os.path.lexists(name):
        return diff.open_image(name, client.connect).digest, None
    registry.check_name(name)
    if DIGEST.fullmatch(name):
        raise UsageError(f"{name}: expected REGISTRY/NAME@{name}, or an image of the catalog")
    repository, tag = Repository.and_tag(name, client.logins(client.running()))
    return repository.known_digest(tag), repository


def published(image: str, place: str) -> Repository:
    return Repository.of(f"{place}/{image}", client.logins(client.running()))


@click.command("attest", cls=Verb, example="./build.py attest pytorch --key me.key --output me.intoto.jsonl")
@click.argument("image")
@click.option("--key", metavar="FILE", type=PATH, required=True, help="Your private key, in PEM.")
@click.option("--output", metavar="FILE", type=PATH, help="Where to write; else they are printed.")
@click.option("--attach", is_flag=True, help="Attach them to the image in SEEDBED_REPOSITORY.")
@click.pass_obj
@cleaning.in_use()
def attest_(root: Path, image: str, key: Path, output: Path | None, attach: bool) -> None:
    """Rebuild an image, and sign that it has the digest of record.

    It uses no cache, and signs nothing if the digest is another. Two statements in in-toto's form, a line each: what
    the image is made from (SLSA provenance), and that you rebuilt it. `verify IMAGE --attested-by N --keys FOLDER`
    counts who has.
    """
    recipe = resolve_one(root, image)
    recorded = digest.read(recipe)
    if recorded is None:
        raise UsageError(f"{image}: has no digest of record to rebuild; run ./build.py build {image} --record")
    signing.signer(key)
    statements.revision()
    repository = published(image, tags.to_publish()) if attach else None  # these fail now, and not after the rebuild
    with workplace(root, [recipe.base]) as place:
        if isinstance(place, There):
            place.verify([image])
        elif not verify.verify(recipe, root, connect=client.connect).comparison.equal:
            raise SeedbedError(f"{image}: the rebuild is not {recorded}; run ./build.py verify {image}")
    signed = attest.attest(recipe, recorded, key)
    if repository:
        print_line(attest.attach(repository, recorded, signed))
    if output:
        files.write(output, signed)
    elif not repository:
        for line in signed.decode().splitlines():
            print_line(line)


@click.command("push", cls=Verb, example="SEEDBED_REPOSITORY=registry.example.org/team ./build.py push pytorch")
@default_images
@click.option("--past-end-of-life", is_flag=True, help="Push also what is past its end of life.")
@click.pass_obj
@cleaning.in_use()
def push_(root: Path, images: Sequence[str], default: bool, past_end_of_life: bool) -> None:
    """Push images to SEEDBED_REPOSITORY.

    Those that have not passed `smoke --full` get no tag. Without IMAGE: the default images.
    """
    recipes = resolve_all(root, images, default=default)
    with workplace(root, (recipe.base for recipe in recipes)) as place:
        for recipe in recipes:
            if built := build.find(recipe):
                place.bring(built)
            place.bring_packages(recipe)
            logins = client.logins(client.running())
            print_line(push.push(recipe, logins, past_end_of_life=past_end_of_life))
