"""Images into a registry. No engine has to hold them for that; but only what passed its smoke tests gets a tag."""

import io
import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from builder import files
from builder.console import size, step
from builder.errors import SeedbedError, UsageError
from builder.image import assemble, build, dockerfile
from builder.image import tags as names
from builder.image.recipe import Recipe
from builder.oci.layout import OciImage, read_image
from builder.oci.registry import Repository
from builder.oci.store import CONFIG_TYPE, MANIFEST_TYPE, Blob, Descriptor

log = logging.getLogger(__name__)


def push(recipe: Recipe, logins: Path | None, *, past_end_of_life: bool = False) -> str:
    """Push the image to its repository, and return its name there, with its digest.

    `logins` is the file in which Docker's client keeps its logins; None: where it does for this user. Layers that the
    store lacks are assembled first. Raises SeedbedError if the image would not hold exactly what is locked, if it is
    not the one that was tested, if a tag names another image by now, and past its end of life unless that is allowed.
    """
    if "SEEDBED_REPOSITORY" not in os.environ:
        raise UsageError("set SEEDBED_REPOSITORY to where images belong, such as registry.example.org/team")
    if (ended := recipe.image.past_end_of_life) and not past_end_of_life:
        remedy = "To push it all the same, add --past-end-of-life"
        raise SeedbedError(f"{recipe.name}: end of life since {ended.date}: {ended.note} {remedy}")
    dockerfile.check(recipe)
    image = image_of(recipe)
    tags = tags_of(recipe, image)
    repository = Repository.of(f"{names.repository()}/{recipe.name}", logins)
    refuse_to_move(repository, tags, image.digest)
    proofs = [partial(assemble.store().proven, layer.descriptor.digest) for layer in image.layers]
    with step(f"{recipe.name}: pushed to {repository}"), files.suspecting(*proofs):
        sent = repository.push(blob(image.manifest, MANIFEST_TYPE), blobs_of(image), tags)
    untested = f"no tag, for it has not passed ./build.py smoke --full {recipe.name}"
    log.info(f"{recipe.name}: sent {size(sent)}; {', '.join(tags) or untested}")
    return f"{repository}@{image.digest}"


def image_of(recipe: Recipe) -> OciImage:
    """The image as it was built, if it still is in the store; else assembled anew."""
    built = build.find(recipe)
    if built and built.locked and build.is_stored(built):
        return read_image(assemble.store(), built.digest)
    return assemble.image(recipe, locked=True)[0]


def tags_of(recipe: Recipe, image: OciImage) -> Sequence[str]:
    """The tags it has a right to."""
    built = build.find(recipe)
    if built and built.digest != image.digest:
        raise SeedbedError(
            f"{recipe.name}: expected {built.digest}, as built, found {image.digest}; "
            f"run ./build.py verify {recipe.name}"
        )
    allowed = names.tags_of(recipe.image, built) if built and built.tested and built.full else ()
    return [name.rpartition(":")[2] for name in allowed]


def refuse_to_move(repository: Repository, tags: Sequence[str], digest: str) -> None:
    for tag in tags:
        if (found := repository.digest(tag)) not in (None, digest):
            raise SeedbedError(
                f"{repository}:{tag} is {found} already, and tags never move: it would become {digest}; "
                "give the new image another tag in image.yaml"
            )


def blobs_of(image: OciImage) -> list[Blob]:
    store = assemble.store()
    layers = [Blob(layer.descriptor, partial(store.blob(layer.descriptor.digest).open, "rb")) for layer in image.layers]
    return [*layers, blob(image.config, CONFIG_TYPE)]


def blob(data: bytes, media_type: str) -> Blob:
    return Blob(Descriptor.of(data, media_type), lambda: io.BytesIO(data))
