"""One image from its recipe to layers and a manifest in the store. No engine has a part in it, and it gets no tag."""

import hashlib
import logging
import re
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from builder import files, paths
from builder.catalog.models import Image
from builder.console import size, step
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.image import assemble, buildx, contents, dockerfile, record, rendered
from builder.image.assemble import Grown
from builder.image.recipe import Recipe
from builder.image.record import LayerRecord, Record
from builder.layers import wheels
from builder.lock import toolchain
from builder.oci.layout import keep
from builder.oci.store import hash_of
from builder.reading import shown

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to build. `dockerfile` has an engine run the Dockerfile; `registry` implies it: Debian comes from there."""

    locked: bool = False
    dockerfile: bool = False
    registry: bool = False
    cached: bool = True

    def take(self, known: Record) -> bool:
        """Whether an earlier build will do."""
        return self.cached and (known.locked or not self.locked)


def build(
    recipe: Recipe, options: Options, connect: Callable[[], Engine], grown: Grown = lambda layers: None
) -> Record:
    """Build the image, or find that nothing changed; `connect` is called for a Dockerfile build alone.

    `grown` is told of the layers that are there so far, bottom first.

    Raises SeedbedError if the Dockerfile is out of date, or the image is over its size budget.
    """
    dockerfile.check(recipe)
    known = find(recipe, options)
    if known and options.take(known) and is_there(known, options, connect):
        log.info(f"{recipe.name}: nothing changed; it is {known.digest}")
        return known
    check_space(recipe)
    began = time.monotonic()
    facts = of_dockerfile(recipe, connect(), options) if options.dockerfile else of_recipe(recipe, options, grown)
    seconds = round(time.monotonic() - began, 1)
    inputs = inputs_of(recipe, options)
    built = Record(image=recipe.name, inputs=inputs, lock=recipe.lock, seconds=seconds, **facts).with_tests_of(known)
    check_budget(recipe.image, built)
    built.save()
    log.info(f"{recipe.name}: built in {built.seconds:.0f} s as {built.digest}")
    return built


def is_there(known: Record, options: Options, connect: Callable[[], Engine]) -> bool:
    return connect().has(known.digest) if options.dockerfile else is_stored(known)


def is_stored(known: Record) -> bool:
    """Whether the store still has all blobs of the image."""
    store = assemble.store()
    blobs = (known.digest, known.config, *(layer.digest for layer in known.layers))
    return all(store.blob(digest).exists() for digest in blobs)


def of_recipe(recipe: Recipe, options: Options, grown: Grown) -> dict[str, Any]:
    """The facts for a record of the image that is assembled, and is in the store then."""
    image, substituted = assemble.image(recipe, locked=options.locked, grown=grown)
    keep(assemble.store(), image)
    layers = [
        LayerRecord(digest=made.descriptor.digest, size=made.descriptor.size, what=made.what, raw_size=made.raw_size)
        for made in image.layers
    ]
    unpacked = sum(layer.raw_size for layer in image.layers)
    return {
        "digest": image.digest,
        "config": image.config_digest,
        "layers": layers,
        "unpacked": unpacked,
        "substituted": substituted,
    }


def of_dockerfile(recipe: Recipe, engine: Engine, options: Options) -> dict[str, Any]:
    """The facts for a record of the image that BuildKit makes, and that is in the engine then."""
    debian, substituted = (None, ()) if options.registry else assemble.base(recipe, locked=options.locked)
    with step(f"{recipe.name}: the Dockerfile build"):
        digests = buildx.run(recipe, engine, debian, substituted=substituted, cached=options.cached)
    image = engine.read(digests.manifest)
    layers = [
        LayerRecord(digest=layer["digest"], size=layer["size"], what=image.step(index))
        for index, layer in enumerate(image.manifest["layers"])
    ]
    unpacked = engine.unpacked_size(digests.manifest)
    return {
        "digest": digests.manifest,
        "config": digests.config,
        "layers": layers,
        "unpacked": unpacked,
        "substituted": substituted,
    }


def find(recipe: Recipe, options: Options = Options()) -> Record | None:
    """The record of the image as it would be built now, None if that was not done yet."""
    return record.find(inputs_of(recipe, options))


def inputs_of(recipe: Recipe, options: Options = Options()) -> str:
    """The hex sha256 of all that decides what a build makes: its record is found by it."""
    runtime = contents.runtime_files(recipe.image)
    inputs = {
        "image": recipe.name,
        "dockerfile": rendered.committed(recipe.image.dockerfile_path),
        "lock": recipe.lock,
        "runtime": {file.target: hashlib.sha256(file.read()).hexdigest() for file in runtime},
        "epoch": recipe.epoch,
        "writer": toolchain.identity(),
        "recipe": options.dockerfile,
        "registry": options.registry,
    }
    return hash_of(inputs)


def check_space(recipe: Recipe) -> None:
    """Raise SeedbedError unless the cache's disk has room for what the build may write."""
    folder = paths.cache()
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = space_needed(recipe), shutil.disk_usage(folder).free
    if free < needed:
        raise SeedbedError(
            f"{recipe.name}: needs up to {size(needed)} of disk, {shown(folder)} has {size(free)} free; "
            f"run ./build.py clean, or {files.larger_disk()}"
        )


def space_needed(recipe: Recipe) -> int:
    """Bytes of wheels and layers, if none of what was built before can be used but what `in_store` counts."""
    budget = recipe.image.size_budget
    fetched = all(wheels.find(pin) for pin in recipe.wheels.wheels)
    return max(budget.compressed - in_store(recipe), 0) + (0 if fetched else budget.compressed)


def in_store(recipe: Recipe) -> int:
    """Bytes of the store's layers of an earlier build of the image, or of the groups that it shares with others."""
    shared = sum(most_in_store(each.image, each.layers) for each in recipe.image.shared)
    return max(most_in_store(recipe.name), shared)


def most_in_store(image: str, groups: Collection[str] | None = None) -> int:
    """Bytes that the store has of that build of the image of which it has most, or of these groups of wheels alone."""
    store = assemble.store()

    def counts(layer: LayerRecord) -> bool:
        group = re.split("[,:]", layer.what)[0]  # `Group.parts` names layers; of a group that is split there are two
        return (groups is None or group in groups) and store.blob(layer.digest).exists()

    sizes = (sum(layer.size for layer in built.layers if counts(layer)) for built in record.of_image(image))
    return max(sizes, default=0)


def check_budget(image: Image, built: Record) -> None:
    """Raise SeedbedError if the image, or a layer of it, weighs more than image.yaml allows."""
    layer = max(layer.raw_size or 0 for layer in built.layers)
    for name, found in (("compressed", built.compressed), ("unpacked", built.unpacked), ("layer", layer)):
        if found > (allowed := getattr(image.size_budget, name)):
            where = image.where("size_budget", name)
            raise SeedbedError(
                f"{where}: allows {size(allowed)}, the image has {size(found)}; see ./build.py report {image.name}"
            )
