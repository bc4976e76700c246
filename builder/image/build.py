"""One image from its locks to an image without a name in an engine. Its tag comes after its smoke tests."""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from builder import files, paths, scratch
from builder.catalog.models import Catalog, Image
from builder.catalog.source import shown
from builder.console import size, step
from builder.engine.client import Digests, Engine
from builder.errors import SeedbedError
from builder.image import assemble, buildx, contents, dockerfile, manifest, record
from builder.image.assemble import Stage
from builder.image.record import LayerRecord, Record
from builder.layers import wheels
from builder.lock import packages as base
from builder.lock import requirements, toolchain
from builder.oci.store import canonical_json

Log = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How to build: `recipe` runs the Dockerfile's stages; `registry` takes Debian from there, and implies `recipe`."""

    locked: bool = False
    recipe: bool = False
    registry: bool = False
    cached: bool = True

    @classmethod
    def of(cls, *, locked: bool, recipe: bool, base: str, no_cache: bool) -> "Options":
        """The options as the command line names them."""
        registry = base == "registry"
        return cls(locked, recipe or registry, registry, not no_cache)


def build(catalog: Catalog, image: Image, engine: Engine, options: Options, log: Log) -> Record:
    """Build the image, or find that nothing changed. Raises `SeedbedError` where a lock or the Dockerfile is stale."""
    check(catalog, image)
    inputs = inputs_of(catalog, image, options)
    known = record.find(inputs)
    if options.cached and known and engine.has(known.digest) and (known.locked or not options.locked):
        log(f"{image.name}: nothing changed; it is {known.digest}")
        return known
    check_space(catalog, image, engine)
    began = time.monotonic()
    made = made_stages(catalog, image, options, log)
    checks = [check for stage in made.values() for check in stage.checks]
    with step(f"{image.name}: the engine takes it over"), files.suspecting(*checks):
        digests = handed_over(catalog, image, engine, made, cached=options.cached)
    built = Record(
        image=image.name,
        inputs=inputs,
        lock=requirements.digest(catalog, image),
        digest=digests.manifest,
        config=digests.config,
        layers=layers_of(engine, digests.manifest, made.get("env")),
        unpacked=engine.unpacked_size(digests.manifest),
        moved=made["base"].moved if "base" in made else (),
        seconds=round(time.monotonic() - began, 1),
    )
    if known and known.digest == built.digest:
        built = built.model_copy(update={"smoke": known.smoke, "tags": known.tags})
    check_budget(image, built)
    built.save()
    log(f"{image.name}: built in {built.seconds:.0f} s as {built.digest}")
    return built


def check(catalog: Catalog, image: Image) -> None:
    """Nothing is built from a stale lock, or from a Dockerfile that is not as rendered."""
    requirements.check(catalog, image)
    base.check(catalog.base_of(image))
    if dockerfile.render(catalog, image).diff():
        raise SeedbedError(f"{shown(image.dockerfile_path)}: not as rendered; run ./build.py render {image.name}")


def find(catalog: Catalog, image: Image) -> Record | None:
    """The record of the image as it would be built now, None where that was not done yet."""
    return record.find(inputs_of(catalog, image))


def inputs_of(catalog: Catalog, image: Image, options: Options = Options()) -> str:
    """The hex sha256 of all that decides what a build makes: its record is found by it."""
    inputs = {
        "image": image.name,
        "dockerfile": dockerfile.committed(image),
        "lock": requirements.digest(catalog, image),
        "runtime": {file.target: hashlib.sha256(file.read()).hexdigest() for file in contents.runtime_files(image)},
        "epoch": catalog.base_of(image).source_date_epoch,
        "writer": toolchain.identity(),
        "recipe": options.recipe,
        "registry": options.registry,
    }
    return hashlib.sha256(canonical_json(inputs)).hexdigest()


def made_stages(catalog: Catalog, image: Image, options: Options, log: Log) -> dict[str, Stage]:
    """The stages that are made without running them, by the name of the stage of the Dockerfile each replaces."""
    if options.registry:
        return {}
    base_stage = assemble.base(catalog.base_of(image), locked=options.locked, log=log)
    if options.recipe:
        return {"base": base_stage}
    # BuildKit asks a registry for every stage's FROM, even one that nothing needs: so `base` is replaced here as well.
    return {"base": base_stage, "env": assemble.env(catalog, image, base_stage)}


def handed_over(catalog: Catalog, image: Image, engine: Engine, made: Mapping[str, Stage], *, cached: bool) -> Digests:
    """Let the engine run the stages that are left, and see to it that the image has the very layers of `env`.

    BuildKit knows a stage by what its layers unpack to: it keeps what it has, even where that was compressed otherwise.
    Raises `SeedbedError` where `final` added a layer to those of `env`.
    """
    before = engine.digests()
    with scratch.folder(paths.cache()) as folder:
        digests = buildx.run(catalog, image, engine, made, folder, cached=cached)
    if "env" not in made:
        return digests
    if engine.diff_ids(digests.manifest) != [layer.diff_id for layer in made["env"].layers]:
        raise SeedbedError(f"{digests.manifest}: stage final added a layer or changed one; it may only set metadata")
    exact = manifest.final_image(catalog, image, engine, made)
    if exact.digests == digests:
        return digests
    with exact.layout() as folder:
        engine.load(folder)
    if digests.manifest not in before:
        engine.remove(digests.manifest)
    return exact.digests


def layers_of(engine: Engine, digest: str, env: Stage | None) -> tuple[LayerRecord, ...]:
    """The layers of an image just built."""
    if env is None:
        return tuple(
            LayerRecord(digest=layer.digest, size=layer.size, what=layer.what) for layer in engine.layers(digest)
        )
    return tuple(
        LayerRecord(
            digest=layer.descriptor.digest, size=layer.descriptor.size, what=layer.what, raw_size=layer.raw_size
        )
        for layer in env.layers
    )


def check_space(catalog: Catalog, image: Image, engine: Engine) -> None:
    """Raise `SeedbedError` unless the cache's disk has room for what the build may write."""
    folder = paths.cache()
    folder.mkdir(parents=True, exist_ok=True)
    needed = space_needed(catalog, image, engine)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SeedbedError(
            f"{image.name}: needs up to {size(needed)} of disk, {shown(folder)} has {size(free)} free; "
            "run ./build.py clean, or set SEEDBED_CACHE to a larger disk"
        )


def space_needed(catalog: Catalog, image: Image, engine: Engine) -> int:
    """Bytes, at most: wheels and layers here, layers and what they unpack to in the engine.

    What another image in the engine lends is there already. With an earlier build of the image itself in the engine,
    hardly more than one layer is new.
    """
    budget, there = image.size_budget, lent(catalog, image, engine)
    compressed = budget.compressed - sum(layer.size for layer in there)
    unpacked = budget.unpacked - sum(layer.raw_size or 0 for layer in there)
    fetched = all(wheels.find(pin) for pin in requirements.read(image).wheels)
    everything = (2 if fetched else 3) * compressed + unpacked
    built_before = any(engine.has(built.digest) for built in record.of_image(image.name))
    return min(everything, 3 * budget.layer) if built_before else everything


def lent(catalog: Catalog, image: Image, engine: Engine) -> list[LayerRecord]:
    """The layers of shared groups, by the last build of the image they come from, if the engine has it."""
    if image.shared is None:
        return []
    lender = find(catalog, catalog.image(image.shared.image))
    if lender is None or not engine.has(lender.digest):
        return []
    return [layer for layer in lender.layers if layer.what.partition(":")[0] in image.shared.layers]


def check_budget(image: Image, built: Record) -> None:
    """Raise `SeedbedError` where the image, or a layer of it, weighs more than image.yaml allows."""
    layer = max(layer.raw_size or 0 for layer in built.layers)
    for name, found in (("compressed", built.compressed), ("unpacked", built.unpacked), ("layer", layer)):
        if found > (allowed := getattr(image.size_budget, name)):
            where = image.where("size_budget", name)
            raise SeedbedError(
                f"{where}: allows {size(allowed)}, the image has {size(found)}; see ./build.py report {image.name}"
            )
