"""Images into a registry. No engine has to hold them for that; but only what passed its smoke tests gets a tag."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from builder import files
from builder.catalog import models
from builder.catalog.models import Catalog, Image
from builder.console import size, step
from builder.errors import SeedbedError
from builder.image import assemble, build, dockerfile, tags
from builder.image.recipe import Recipe
from builder.oci.artifacts import Artifact
from builder.oci.layout import OciImage, read_image
from builder.oci.registry import Repository
from builder.oci.store import CONFIG_TYPE, MANIFEST_TYPE, Blob
from builder.publish import kit, sbom

log = logging.getLogger(__name__)

Maker = Callable[[Recipe, OciImage], Sequence[Artifact]]
ATTACHED: tuple[Maker, ...] = (kit.beside, sbom.artifacts)
"""What makes the artifacts that a push attaches to an image: they refer to it, and it stays what it is."""


def push(recipe: Recipe, logins: Path | None, *, past_end_of_life: bool = False) -> str:
    """Push the image to its repository, and return its name there, with its digest.

    `logins` is the file in which Docker's client keeps its logins; None: where it does for this user. Layers that the
    store lacks are assembled first. Raises SeedbedError if the image would not hold exactly what is locked, if it is
    not the one that was tested, if a tag names another image by now, and past its end of life unless that is allowed.
    """
    repository = Repository.of(f"{tags.to_publish()}/{recipe.name}", logins)
    if (ended := recipe.image.past_end_of_life) and not past_end_of_life:
        remedy = "To push it all the same, add --past-end-of-life"
        raise SeedbedError(f"{recipe.name}: end of life since {ended.date}: {ended.note} {remedy}")
    dockerfile.check(recipe)
    image, names = image_and_tags(recipe)
    for name in names:
        repository.refuse_to_move(name, image.digest)
    attached = [artifact for make in ATTACHED for artifact in make(recipe, image)]
    layers = [layer.descriptor.digest for layer in (*image.layers, *(each for one in attached for each in one.layers))]
    proofs = [partial(assemble.store().proven, layer.descriptor.digest) for layer in image.layers]
    with step(f"{recipe.name}: pushed to {repository}"), files.suspecting(*proofs):
        sent = repository.push(
            Blob.of(image.manifest, MANIFEST_TYPE),
            blobs_of(image),
            names,
            attached=attached,
            others=dict.fromkeys(layers, repositories_beside(recipe)),
        )
    untested = f"no tag, for it has not passed ./build.py smoke --full {recipe.name}"
    mounted = f", mounted {size(sent.mounted)} from other images" if sent.mounted else ""
    log.info(f"{recipe.name}: sent {size(sent.sent)}{mounted}; {', '.join(names) or untested}")
    return f"{repository}@{image.digest}"


def image_and_tags(recipe: Recipe) -> tuple[OciImage, Sequence[str]]:
    """The image as it was built, assembled anew if the store lacks it, and the tags that it has a right to."""
    built = build.find(recipe)
    if built and built.locked and build.is_stored(built):
        image = read_image(assemble.store(), built.digest)
    else:
        image, _ = assemble.image(recipe, locked=True)
    if built and built.digest != image.digest:
        raise SeedbedError(
            f"{recipe.name}: expected {built.digest}, as built, found {image.digest}; "
            f"run ./build.py verify {recipe.name}"
        )
    allowed = tags.tags_of(recipe.image, built) if built and built.tested and built.full else ()
    return image, [name.rpartition(":")[2] for name in allowed]


def repositories_beside(recipe: Recipe) -> list[str]:
    """The repositories of other images that may have layers of this one, those with most in common first."""
    catalog = models.load(recipe.image.folder.parent)
    others = [f"{tags.repository()}/{other.name}" for other in relatives(recipe.image, catalog)]
    return [Repository.of(other).name for other in others]


def relatives(image: Image, catalog: Catalog) -> list[Image]:
    """The other images with its base; those first that share layers of wheels with it, from whomever they have them."""
    others = [other for other in catalog.images.values() if other.name != image.name and other.base == image.base]
    return sorted(others, key=lambda other: (-len(groups(image) & groups(other)), other.name))


def groups(image: Image) -> set[tuple[str, str]]:
    """Its groups of wheels, each with the image that owns it."""
    shared = {(each.image, name) for each in image.shared for name in each.layers}
    return shared | {(image.name, group.name) for group in image.layers}


def blobs_of(image: OciImage) -> list[Blob]:
    store = assemble.store()
    layers = [Blob(layer.descriptor, partial(store.blob(layer.descriptor.digest).open, "rb")) for layer in image.layers]
    return [*layers, Blob.of(image.config, CONFIG_TYPE)]
