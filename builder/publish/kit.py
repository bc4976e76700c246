"""Rebuild kits: the Debian packages that an image is made of, which the archive drops after some weeks.

Wheels are not in them: their index keeps what was published.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from builder.debian.archive import Package
from builder.image import kits, output
from builder.image.recipe import Recipe
from builder.layers.base import folder_of_packages
from builder.layers.kit import KIT_TYPE, PACKAGE_TYPE, file_name
from builder.oci.artifacts import EMPTY, EMPTY_TYPE, Artifact
from builder.oci.layout import OciImage, finish, link_or_copy
from builder.oci.store import MANIFEST_TYPE, Blob, Descriptor, Store


def artifact(recipe: Recipe, subject: Descriptor | None = None) -> Artifact:
    """The kit, with the packages of the cache, where they have to be; `subject` is the image's manifest.

    A layer for each package, under its own sha256, in the order of the lock: mmdebstrap first. Raises SeedbedError if a
    package has other bytes than the lock says, and names it.
    """
    packages = {package.sha256: package for package in recipe.packages.everything}.values()
    return Artifact(KIT_TYPE, subject, tuple(map(blob, packages)))


def blob(package: Package) -> Blob:
    path = package.proven(folder_of_packages())
    return Blob(Descriptor(PACKAGE_TYPE, package.digest, package.size), partial(path.open, "rb"), file_name(package))


def beside(recipe: Recipe, image: OciImage) -> Sequence[Artifact]:
    """What a push attaches to the image. Raises SeedbedError if a package is neither in the cache nor to be had."""
    kits.fetch_packages(recipe)
    return [artifact(recipe, image.descriptor)]


def write(recipe: Recipe, destination: Path) -> None:
    """Write the kit to `destination`: an OCI archive if that ends in `.tar`, else the folder of an OCI layout.

    The same lock gives the same bytes. The image need not have been built, so the kit names no subject.
    """
    kit = artifact(recipe)
    with output.layout(destination) as folder:
        store = Store(folder)
        for layer in kit.layers:
            digest = layer.descriptor.digest
            link_or_copy(folder_of_packages() / f"{digest.removeprefix('sha256:')}.deb", store.blob(digest))
        store.add(EMPTY.open().read(), EMPTY_TYPE)
        manifest = store.add(kit.manifest(), MANIFEST_TYPE)
        finish(folder, manifest.to_json() | {"artifactType": KIT_TYPE})
