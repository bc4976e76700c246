"""Whose word counts for an image: `attest`, and what `verify --attested-by` counts."""

import os
from collections.abc import Sequence
from pathlib import Path

import click

from builder import files
from builder.catalog import models
from builder.cli import cleaning
from builder.cli.group import Verb
from builder.cli.workplace import There, workplace
from builder.console import print_line
from builder.engine import client
from builder.errors import SeedbedError, UsageError
from builder.image import digest, tags
from builder.image.recipe import resolve_one
from builder.oci import registry
from builder.oci.registry import Repository
from builder.oci.store import DIGEST
from builder.publish import attest, signing, statements
from builder.publish.attest import Attested
from builder.reproduce import diff, verify


@click.command("attest", cls=Verb, example="./build.py attest pytorch --key me.key --output me.intoto.jsonl")
@click.argument("image")
@click.option("--key", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Your private key, in PEM.")
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to write; else they are printed."
)
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
            place.verify(image, None)
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


def attested(root: Path, name: str, keys: Path, statements: Sequence[Path]) -> Attested:
    """Whose word there is for an image: of the catalog, in a registry, or in an OCI layout or archive.

    Statements are those in files and folders, and those that are attached to the image in its registry.
    """
    known = signing.keys_in(keys)
    wanted, repository = named(root, name)
    if not (repository or statements):
        raise UsageError("--attested-by: nowhere to look for statements: set SEEDBED_REPOSITORY, or give --statements")
    attached = attest.attached(repository, wanted) if repository else []
    return attest.count(wanted, [*attest.given_in(statements), *attached], known)


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


VERBS = (attest_,)
