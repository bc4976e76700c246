"""One image from its locks to an image without a name in an engine. Its tag comes after its smoke tests."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import assemble, base, contents, debian, lock, network, paths, record, render, wheels, writer
from builder.assemble import Stage
from builder.catalog import Catalog, Image
from builder.console import size
from builder.engine import Digests, Engine
from builder.errors import SeedbedError
from builder.oci import canonical_json
from builder.record import LayerRecord, Record
from builder.source import shown

OUTPUT = "type=image,oci-mediatypes=true,compression=zstd"
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
    check_space(image, engine)
    began = time.monotonic()
    made = made_stages(catalog, image, options, log)
    handed_over = time.monotonic()
    digests = run(catalog, image, engine, made, options)
    log(f"{image.name}: the engine took it over: {time.monotonic() - handed_over:.1f} s")
    built = Record(
        image=image.name,
        inputs=inputs,
        lock=lock.digest(catalog, image),
        digest=digests.manifest,
        config=digests.config,
        layers=layers_of(engine, digests.manifest, made.get("env")),
        unpacked=engine.unpacked_size(digests.manifest),
        moved=made["base"].moved if "base" in made else (),
        seconds=round(time.monotonic() - began, 1),
    )
    check_budget(image, built)
    built.save()
    log(f"{image.name}: built in {built.seconds:.0f} s as {built.digest}")
    return built


def check(catalog: Catalog, image: Image) -> None:
    """Nothing is built from a stale lock, or from a Dockerfile that is not as rendered."""
    lock.check(catalog, image)
    base.check(catalog.base_of(image))
    if render.render(catalog, image).diff():
        raise SeedbedError(f"{shown(image.dockerfile_path)}: not as rendered; run ./build.py render {image.name}")


def find(catalog: Catalog, image: Image) -> Record | None:
    """The record of the image as it would be built now, None where that was not done yet."""
    return record.find(inputs_of(catalog, image))


def inputs_of(catalog: Catalog, image: Image, options: Options = Options()) -> str:
    """The hex sha256 of all that decides what a build makes: its record is found by it."""
    inputs = {
        "image": image.name,
        "dockerfile": image.dockerfile_path.read_text(encoding="utf-8") if image.dockerfile_path.exists() else "",
        "lock": lock.digest(catalog, image),
        "runtime": {file.target: hashlib.sha256(file.read()).hexdigest() for file in contents.runtime_files(image)},
        "epoch": catalog.base_of(image).source_date_epoch,
        "writer": writer.identity(),
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


def run(
    catalog: Catalog,
    image: Image,
    engine: Engine,
    made: Mapping[str, Stage],
    options: Options,
    output: str = OUTPUT,
) -> Digests:
    """Let the engine run the stages that are left; `output` as `docker buildx build --output` takes it."""
    with ExitStack() as stack:
        arguments = ["--file", str(image.dockerfile_path), "--target", "final", "--platform", "linux/amd64"]
        arguments += ["--provenance=false", "--sbom=false", "--output", output]
        arguments += [] if options.cached else ["--no-cache"]
        for name, stage in made.items():
            arguments += ["--build-context", f"{name}={stack.enter_context(stage.context())}"]
        if "base" in made and made["base"].moved:
            arguments += ["--label", f"io.seedbed.unlocked={'; '.join(made['base'].moved)}"]
        for name, path in stack.enter_context(secrets(catalog.base_of(image).suite)).items():
            arguments += ["--secret", f"id={name},src={path}"]
        return engine.build([*arguments, str(paths.ROOT)], epoch=catalog.base_of(image).source_date_epoch)


@contextmanager
def secrets(suite: str) -> Iterator[dict[str, Path]]:
    """How this host reaches packages, as files for BuildKit to mount: as ARG or ENV they would end up in the image."""
    with tempfile.TemporaryDirectory() as folder:
        texts = {"apt-sources": debian.sources_text(suite) if debian.host_supported() is None else None}
        if index := network.index_url():
            texts["pip.conf"] = f"[global]\nindex-url = {index}\n"
            texts["uv.toml"] = f'[[index]]\nurl = "{index}"\ndefault = true\n'
        files = {"ca-bundle": bundle} if (bundle := network.ca_bundle()) else {}
        for name, text in texts.items():
            if text:
                files[name] = Path(folder, name)
                files[name].write_text(text, encoding="utf-8")
        yield files


def layers_of(engine: Engine, digest: str, env: Stage | None) -> tuple[LayerRecord, ...]:
    """The layers of an image just built. Raises `SeedbedError` where `final` added one to those of `env`."""
    if env is None:
        return tuple(
            LayerRecord(digest=layer.digest, size=layer.size, what=layer.what) for layer in engine.layers(digest)
        )
    if engine.diff_ids(digest) != [layer.diff_id for layer in env.layers]:
        raise SeedbedError(f"{digest}: stage final added a layer or changed one; it may only set metadata")
    return tuple(
        LayerRecord(
            digest=layer.descriptor.digest, size=layer.descriptor.size, what=layer.what, raw_size=layer.raw_size
        )
        for layer in env.layers
    )


def check_space(image: Image, engine: Engine) -> None:
    """Raise `SeedbedError` unless the cache's disk has room for what the build may write."""
    folder = paths.cache()
    folder.mkdir(parents=True, exist_ok=True)
    needed = space_needed(image, engine)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SeedbedError(
            f"{image.name}: needs up to {size(needed)} of disk, {shown(folder)} has {size(free)} free; "
            "run ./build.py clean, or set SEEDBED_CACHE to a larger disk"
        )


def space_needed(image: Image, engine: Engine) -> int:
    """Bytes, at most: wheels and layers here, layers and what they unpack to in the engine.

    With an earlier build of the image in the engine, hardly more than one layer is new.
    """
    budget = image.size_budget
    fetched = all(wheels.find(pin) for pin in lock.read(image).wheels)
    everything = (2 if fetched else 3) * budget.compressed + budget.unpacked
    built_before = any(engine.has(built.digest) for built in record.of_image(image.name))
    return min(everything, 3 * budget.layer) if built_before else everything


def check_budget(image: Image, built: Record) -> None:
    """Raise `SeedbedError` where the image, or a layer of it, weighs more than image.yaml allows."""
    layer = max(layer.raw_size or 0 for layer in built.layers)
    for name, found in (("compressed", built.compressed), ("unpacked", built.unpacked), ("layer", layer)):
        if found > (allowed := getattr(image.size_budget, name)):
            where = image.where("size_budget", name)
            raise SeedbedError(
                f"{where}: allows {size(allowed)}, the image has {size(found)}; see ./build.py report {image.name}"
            )
