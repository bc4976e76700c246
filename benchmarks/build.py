"""A naive Dockerfile and `./build.py build`, in turn, in one run, from the same wheels on disk.

    .venv/bin/python benchmarks/build.py --svg docs/build.svg                       # the real images: about 25 minutes
    .venv/bin/python benchmarks/build.py --parts unchanged pull                     # without what takes longest
    .venv/bin/python benchmarks/build.py --catalog tests/images --image tiny --bump pip==25.3            # a rehearsal

Each way starts with an engine that holds nothing but the Debian which both build on, and with an empty registry. The
naive way is what people write: one `pip install -r requirements.txt`, and Docker's own defaults. Its wheels are in the
engine before the clock starts, so nobody downloads and nobody copies them. Where a dependency changes, it does all of
it again, which is not measured once more. The engine is an embedded one of the benchmark's own: root and Debian needed.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.loopback import Registry, running, unpack_registry
from benchmarks.plot import Bar, chart
from benchmarks.scratch import DOWNLOADS, own_cache
from builder import paths
from builder.catalog import models
from builder.catalog.models import Catalog, Image
from builder.console import print_table, show_log, size, step
from builder.engine.client import embedded
from builder.image import assemble, build, dockerfile
from builder.image.recipe import Recipe, resolve
from builder.layers import wheels
from builder.layers.parts import cpus
from builder.lock import requirements
from builder.lock.index import Pin
from builder.oci.store import Layer

DEBIAN = "benchmark/debian"
PARTS = ("unchanged", "bump", "pull", "second")
"""What may be left out; a cold build and a push are what all else is compared with."""

AIMS = {
    "cold_ratio": 0.22,
    "push_ratio": 0.14,
    "unchanged_s": 1.0,
    "bump_s": 10.0,
    "bump_bytes_ratio": 0.01,
    "pull_ratio": 0.4,
    "second_image_bytes_ratio": 0.35,
}
"""What each should be at most."""

LABELS = {
    "cold_ratio": "cold build, to a local image",
    "push_ratio": "cold build, to a registry",
    "pull_ratio": "pull and unpack",
    "bump_bytes_ratio": "bytes after one new version",
    "second_image_bytes_ratio": "bytes of the second image",
}

NAIVE = f"""\
FROM {DEBIAN} AS ready
RUN --mount=type=bind,from=wheels,target=/wheels true

FROM {DEBIAN}
RUN python3 -m venv /opt/venv
COPY requirements.txt .
RUN --mount=type=bind,from=wheels,target=/wheels \\
    /opt/venv/bin/pip install --no-cache-dir --no-index --find-links /wheels --requirement requirements.txt
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /workspace
CMD ["bash"]
"""


@dataclass(frozen=True)
class Measured:
    """One way; seconds and bytes. Layers count compressed and without Debian's; None: not measured."""

    cold_s: float
    published_s: float
    layer_bytes: int
    unchanged_s: float | None = None
    bump_s: float | None = None
    bump_bytes: int | None = None
    pull_s: float | None = None
    second_bytes: int | None = None


class Naive:
    """One `pip install` in a Dockerfile."""

    name = "naive"

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch / "naive"

    def prepare(self, recipe: Recipe) -> None:
        """What comes before the clock starts."""
        folder, pins = self.scratch / recipe.name, recipe.wheels.wheels
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "wheels").mkdir(parents=True)
        for wheel in wheels.fetch(pins, recipe.image.python).values():
            (folder / "wheels" / wheel.path.name).hardlink_to(wheel.path)
        (folder / "requirements.txt").write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        (folder / "Dockerfile").write_text(NAIVE)
        self._run(recipe, "--target", "ready")

    def build(self, recipe: Recipe) -> str:
        """Build the image; returns what the engine knows it by."""
        self._run(recipe, "--tag", f"naive/{recipe.name}")
        return f"naive/{recipe.name}"

    def push(self, recipe: Recipe, registry: Registry) -> str:
        """Push it, and build what is missing for that; returns its name there."""
        target = f"{registry.address}/{recipe.name}:latest"
        docker("tag", self.build(recipe), target)
        docker("push", "--quiet", target)
        return target

    def cold(self, recipe: Recipe, registry: Registry) -> tuple[float, float]:
        """Seconds from nothing to an image in the engine, and from nothing to one in the registry."""
        built = timed(lambda: self.build(recipe))
        return built, built + timed(lambda: self.push(recipe, registry))

    def _run(self, recipe: Recipe, *options: str) -> None:
        folder = self.scratch / recipe.name
        context = f"--build-context=wheels={folder / 'wheels'}"
        docker("buildx", "build", "--provenance=false", context, *options, str(folder))


class Seedbed:
    """`./build.py`, with the methods of `Naive`."""

    name = "seedbed"

    def __init__(self, debian: Layer) -> None:
        self.debian = debian

    def prepare(self, recipe: Recipe) -> None:
        wheels.fetch(recipe.wheels.wheels, recipe.image.python)

    def build(self, recipe: Recipe) -> str:
        self._run("build", recipe)
        built = build.find(recipe)
        assert built, "a build leaves a record"
        return built.digest

    def push(self, recipe: Recipe, registry: Registry) -> str:
        return self._run("push", recipe, SEEDBED_REPOSITORY=registry.address).strip()

    def cold(self, recipe: Recipe, registry: Registry) -> tuple[float, float]:
        published = timed(lambda: self.push(recipe, registry))
        forget_layers(self.debian)
        start_afresh(self.debian)
        return timed(lambda: self.build(recipe)), published

    def _run(self, verb: str, recipe: Recipe, **variables: str) -> str:
        catalog = ["--catalog", str(recipe.image.folder.parent)]
        return run([sys.executable, str(paths.ROOT / "build.py"), *catalog, verb, recipe.name], **variables)


Way = Naive | Seedbed


def main() -> None:
    options = parse_arguments()
    show_log()
    loaded = models.load(options.catalog)
    recipe = recipe_of(loaded, options.image)
    check_space(recipe.image)
    program = unpack_registry(paths.cache() / "registry")
    results: dict[str, Any] = {"machine": machine(), "image": recipe.name}
    with own_cache([*DOWNLOADS, "engine/programs"]) as scratch:
        debian, _ = assemble.base(recipe, locked=False)
        for way in (Naive(scratch), Seedbed(debian)):
            with running(program, scratch / "registry") as registry, step(way.name):
                results[way.name] = asdict(measure(way, recipe, loaded, options, debian, registry, scratch))
    results |= ratios(results["naive"], results["seedbed"])
    if options.svg:
        options.svg.write_text(picture(results), encoding="utf-8")
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print_results(results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", type=Path, default=paths.IMAGES)
    parser.add_argument("--image", default="pytorch", help="default: %(default)s")
    parser.add_argument("--bump", default="sympy==1.13.3", help="the dependency that changes (default: %(default)s)")
    parser.add_argument("--second", default="tensorflow", help="one that shares its layers (default: %(default)s)")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS, help="beside cold builds (default: all)")
    parser.add_argument("--svg", type=Path, help="where to draw the ratios")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def check_space(image: Image) -> None:
    """End here unless the disk has room for what is there at once: for either way the layers in the engine, unpacked
    there, and in the registry; the naive way has the wheels besides, the other the layers once more."""
    needed = 5 * image.size_budget.compressed + image.size_budget.unpacked
    free = shutil.disk_usage(paths.cache()).free
    if free < needed:
        sys.exit(f"benchmark: needs up to {size(needed)} of disk, {paths.cache()} has {size(free)} free")


def measure(
    way: Way,
    recipe: Recipe,
    loaded: Catalog,
    options: argparse.Namespace,
    debian: Layer,
    registry: Registry,
    scratch: Path,
) -> Measured:
    """One way, in an order that leaves little on the disk at a time."""
    start_afresh(debian)
    way.prepare(recipe)
    with step(f"{way.name}: {recipe.name} from nothing, and from nothing to a registry"):
        cold_s, published_s = way.cold(recipe, registry)
    docker("run", "--rm", way.build(recipe), "python", "-c", "import numpy")
    pushed = way.push(recipe, registry)
    layers = registry.layers(pushed)
    found: dict[str, Any] = {"layer_bytes": new_bytes(layers, {next(iter(layers))})}
    if "unchanged" in options.parts:
        found["unchanged_s"] = timed(lambda: way.build(recipe))
    if "bump" in options.parts and isinstance(way, Seedbed):
        with step(f"{way.name}: {recipe.name} with {options.bump}"):
            bumped = bump(loaded, recipe.name, options.bump, scratch / "catalog")
            way.prepare(bumped)
            found["bump_s"] = timed(lambda: way.build(bumped))
            before = registry.received()
            way.push(bumped, registry)
            found["bump_bytes"] = registry.received() - before
    if "pull" in options.parts:
        start_afresh()
        with step(f"{way.name}: {recipe.name} pulled"):
            found["pull_s"] = timed(lambda: docker("pull", "--quiet", pushed))
    if "second" in options.parts and options.second in loaded.images:
        second = recipe_of(loaded, options.second)
        with step(f"{way.name}: {second.name} after {recipe.name}"):
            start_afresh(debian)
            way.prepare(second)
            found["second_bytes"] = new_bytes(registry.layers(way.push(second, registry)), layers)
    return Measured(cold_s, published_s, **found)


def recipe_of(loaded: Catalog, name: str) -> Recipe:
    return resolve(loaded, loaded.image(name))


def new_bytes(layers: Mapping[str, int], known: Collection[str]) -> int:
    return sum(size for digest, size in layers.items() if digest not in known)


def bump(loaded: Catalog, name: str, requirement: str, folder: Path) -> Recipe:
    """The image in a copy of the catalog, where it locks another version of one dependency."""
    copied = models.load(Path(shutil.copytree(loaded.root, folder)))
    image = copied.image(name)
    pin, locked = pin_of(requirement), requirements.read(image)
    assert pin.name in {other.name for other in locked.wheels}, f"{name} locks no {pin.name}"
    others = tuple(pin if other.name == pin.name else other for other in locked.wheels)
    requirements.write(image, replace(locked, wheels=others))
    bumped = recipe_of(copied, name)
    bumped.image.dockerfile_path.write_text(dockerfile.render(bumped))
    return bumped


def pin_of(requirement: str) -> Pin:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder]
        run([sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *options, requirement])
        [path] = Path(folder).iterdir()
        name, _, version = requirement.partition("==")
        return Pin(name, version, hashlib.sha256(path.read_bytes()).hexdigest())


def start_afresh(debian: Layer | None = None) -> None:
    """An engine that holds nothing, or Debian alone."""
    embedded().down()
    shutil.rmtree(embedded().directory / "data", ignore_errors=True)
    embedded().up()
    if debian:
        blob = assemble.store().blob(debian.descriptor.digest)
        with tempfile.TemporaryFile() as tar, blob.open("rb") as compressed:
            zstandard.ZstdDecompressor().copy_stream(compressed, tar)
            tar.seek(0)
            docker("import", "-", DEBIAN, stdin=tar)


def forget_layers(debian: Layer) -> None:
    """Leave no layer in the cache but Debian's."""
    digest = debian.descriptor.digest.removeprefix("sha256:")
    for path in [*(paths.cache() / "blobs/sha256").iterdir(), *(paths.cache() / "layers").iterdir()]:
        if path.name != digest and (path.suffix != ".json" or digest not in path.read_text(encoding="utf-8")):
            path.unlink()


def docker(*arguments: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> None:
    run(["docker", *arguments], stdin)


def run(command: Sequence[str], stdin: IO[bytes] | int = subprocess.DEVNULL, **variables: str) -> str:
    """Run to the end; returns what it printed."""
    environment = {**os.environ, **embedded().environment(), **variables}
    done = subprocess.run(command, env=environment, stdin=stdin, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"benchmark: status {done.returncode} of: {' '.join(command)}")
    return done.stdout


def timed(work: Callable[[], object]) -> float:
    """Seconds of the clock. What was written before is on the disk when it starts."""
    os.sync()
    began = time.perf_counter()
    work()
    return round(time.perf_counter() - began, 2)


def ratios(naive: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, float | None]:
    """What is aimed at, by the names of `AIMS`; None for what was not measured."""

    def ratio(field: str, to: str) -> float | None:
        return None if ours[field] is None else ours[field] / naive[to]

    return {
        "cold_ratio": ratio("cold_s", "cold_s"),
        "push_ratio": ratio("published_s", "published_s"),
        "unchanged_s": ours["unchanged_s"],
        "bump_s": ours["bump_s"],
        "bump_bytes_ratio": ratio("bump_bytes", "layer_bytes"),
        "pull_ratio": ratio("pull_s", "pull_s"),
        "second_image_bytes_ratio": ratio("second_bytes", "second_bytes"),
    }


def machine() -> dict[str, Any]:
    """What the seconds depend on."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="ascii"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cpus": cpus(),
        "memory": size(memory),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 1),
    }


def print_results(results: dict[str, Any]) -> None:
    naive, ours = results["naive"], results["seedbed"]
    print_table(
        ("", "naive", "Seedbed"),
        [(field.replace("_", " "), shown(field, naive[field]), shown(field, ours[field])) for field in naive],
    )
    print()
    print_table(
        ("", "measured", "aim"),
        [(name, f"{results[name]:.3g}", str(aim)) for name, aim in AIMS.items() if results[name] is not None],
    )
    print("\n" + ", ".join(f"{fact}: {value}" for fact, value in results["machine"].items()))


def shown(field: str, value: float | None) -> str:
    if value is None:
        return ""
    return size(int(value)) if field.endswith("bytes") else f"{value:.1f} s"


def picture(results: dict[str, Any]) -> str:
    rows = [Bar(label, results[name], AIMS[name]) for name, label in LABELS.items() if results[name] is not None]
    facts = results["machine"]
    subtitle = f"naive Dockerfile = 1; line: aim; {facts['cpus']} CPUs, {facts['processor']}"
    return chart(f"{results['image']}: Seedbed beside a naive Dockerfile", subtitle, rows)


if __name__ == "__main__":
    main()
