"""Images into a registry. No engine has to hold them for that; but only what passed its smoke tests gets a tag."""

import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from builder import files
from builder.catalog.models import Catalog, Image
from builder.console import size, step
from builder.engine.client import Engine
from builder.errors import SeedbedError, UsageError
from builder.image import assemble, build
from builder.image.build import Options
from builder.image.manifest import FinalImage, final_image
from builder.oci.registry import Blob, Repository
from builder.oci.store import CONFIG_TYPE, MANIFEST_TYPE, Descriptor
from builder.smoke import smoke

Log = Callable[[str], None]


def push(catalog: Catalog, image: Image, engine: Engine, log: Log) -> str:
    """Push the image to its repository, and return its name there, with its digest.

    Layers that are missing are assembled first. Raises SeedbedError where the image would not hold exactly what is
    locked, where it is not the one that was tested, and where a tag names another image by now.
    """
    if "SEEDBED_REPOSITORY" not in os.environ:
        raise UsageError("set SEEDBED_REPOSITORY to where images belong, such as registry.example.org/team")
    build.check(catalog, image)
    made = build.made_stages(catalog, image, Options(locked=True), log)
    final = final_image(catalog, image, engine, made)
    tags = tags_of(catalog, image, final)
    repository = Repository.of(f"{smoke.repository()}/{image.name}", logins(engine))
    refuse_to_move(repository, tags, final.digest)
    with step(f"{image.name}: pushed to {repository}"), files.suspecting(*made["env"].checks):
        sent = repository.push(blob(final.manifest, MANIFEST_TYPE), blobs_of(final), tags)
    log(f"{image.name}: sent {size(sent)}; {', '.join(tags) or 'no tag, for it has not passed its smoke tests'}")
    return f"{repository}@{final.digest}"


def tags_of(catalog: Catalog, image: Image, final: FinalImage) -> Sequence[str]:
    """The tags it has a right to."""
    built = build.find(catalog, image)
    if built and built.digest != final.digest:
        raise SeedbedError(
            f"{image.name}: expected {built.digest}, as built, found {final.digest}; run ./build.py verify {image.name}"
        )
    names = smoke.tags_of(image, built) if built and built.tested else ()
    return [name.rpartition(":")[2] for name in names]


def refuse_to_move(repository: Repository, tags: Sequence[str], digest: str) -> None:
    for tag in tags:
        if (found := repository.digest(tag)) not in (None, digest):
            raise SeedbedError(
                f"{repository}:{tag} is {found} already, and tags never move: it would become {digest}; "
                "give the new image another tag in image.yaml"
            )


def blobs_of(final: FinalImage) -> list[Blob]:
    store = assemble.store()
    layers = [Blob(layer.descriptor, partial(store.blob(layer.descriptor.digest).open, "rb")) for layer in final.layers]
    return [*layers, blob(final.config, CONFIG_TYPE)]


def blob(data: bytes, media_type: str) -> Blob:
    return Blob(Descriptor.of(data, media_type), lambda: io.BytesIO(data))


def logins(engine: Engine) -> Path | None:
    """The file in which the engine's own client keeps logins; None for the user's."""
    folder = engine.environment.get("DOCKER_CONFIG")
    return Path(folder, "config.json") if folder else None
