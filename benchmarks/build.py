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
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import zstandard  # noqa: E402
from loopback import Registry, running, unpack_registry  # noqa: E402
from plot import Bar, chart  # noqa: E402
from scratch import DOWNLOADS, own_cache  # noqa: E402

from builder import paths  # noqa: E402
from builder.catalog import models  # noqa: E402
from builder.catalog.models import Catalog, Image  # noqa: E402
from builder.console import print_table, show_log, size, step  # noqa: E402
from builder.engine.client import embedded  # noqa: E402
from builder.image import assemble, build, dockerfile  # noqa: E402
from builder.image.recipe import Recipe, resolve  # noqa: E402
from builder.layers import wheels  # noqa: E402
from builder.layers.parts import cpus  # noqa: E402
from builder.lock import requirements  # noqa: E402
from builder.lock.index import Pin  # noqa: E402
from builder.oci.store import Layer  # noqa: E402

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


class Way(ABC):
    """How to get from a catalog to an image in the engine, and from there to a registry."""

    name: str

    @abstractmethod
    def prepare(self, loaded: Catalog, name: str) -> None:
        """What comes before the clock starts."""

    @abstractmethod
    def build(self, loaded: Catalog, name: str) -> str:
        """Build the image `name`; returns what the engine knows it by."""

    @abstractmethod
    def push(self, loaded: Catalog, name: str, registry: Registry) -> str:
        """Push it, and build what is missing for that; returns its name there."""

    @abstractmethod
    def cold(self, loaded: Catalog, name: str, registry: Registry) -> tuple[float, float]:
        """Seconds from nothing to an image in the engine, and from nothing to one in the registry."""


class Naive(Way):
    name = "naive"

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch / "naive"

    def prepare(self, loaded: Catalog, name: str) -> None:
        recipe, folder = recipe_of(loaded, name), self.scratch / name
        pins = recipe.wheels.wheels
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "wheels").mkdir(parents=True)
        for wheel in wheels.fetch(pins, recipe.image.python).values():
            (folder / "wheels" / wheel.path.name).hardlink_to(wheel.path)
        (folder / "requirements.txt").write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        (folder / "Dockerfile").write_text(NAIVE)
        self._run(name, "--target", "ready")

    def build(self, loaded: Catalog, name: str) -> str:
        self._run(name, "--tag", f"naive/{name}")
        return f"naive/{name}"

    def push(self, loaded: Catalog, name: str, registry: Registry) -> str:
        target = f"{registry.address}/{name}:latest"
        docker("tag", self.build(loaded, name), target)
        docker("push", "--quiet", target)
        return target

    def cold(self, loaded: Catalog, name: str, registry: Registry) -> tuple[float, float]:
        built = timed(lambda: self.build(loaded, name))
        return built, built + timed(lambda: self.push(loaded, name, registry))

    def _run(self, name: str, *options: str) -> None:
        folder = self.scratch / name
        context = f"--build-context=wheels={folder / 'wheels'}"
        docker("buildx", "build", "--provenance=false", context, *options, str(folder))


class Seedbed(Way):
    name = "seedbed"

    def __init__(self, debian: Layer) -> None:
        self.debian = debian

    def prepare(self, loaded: Catalog, name: str) -> None:
        recipe = recipe_of(loaded, name)
        wheels.fetch(recipe.wheels.wheels, recipe.image.python)

    def build(self, loaded: Catalog, name: str) -> str:
        self._run(loaded, "build", name)
        built = build.find(recipe_of(loaded, name))
        assert built, "a build leaves a record"
        return built.digest

    def push(self, loaded: Catalog, name: str, registry: Registry) -> str:
        return self._run(loaded, "push", name, SEEDBED_REPOSITORY=registry.address).strip()

    def cold(self, loaded: Catalog, name: str, registry: Registry) -> tuple[float, float]:
        published = timed(lambda: self.push(loaded, name, registry))
        forget_layers(self.debian)
        start_afresh(self.debian)
        return timed(lambda: self.build(loaded, name)), published

    def _run(self, loaded: Catalog, verb: str, name: str, **variables: str) -> str:
        return run([sys.executable, str(ROOT / "build.py"), "--catalog", str(loaded.root), verb, name], **variables)


def recipe_of(loaded: Catalog, name: str) -> Recipe:
    return resolve(loaded, loaded.image(name))


def main() -> None:
    options = parse_arguments()
    show_log()
    check_space(models.load(options.catalog).image(options.image))
    program = unpack_registry(paths.cache() / "registry")
    with own_cache([*DOWNLOADS, "engine/programs"]) as scratch:
        results = {"machine": machine(), "image": options.image, **measure_both(options, program, scratch)}
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


def measure_both(options: argparse.Namespace, program: Path, scratch: Path) -> dict[str, Any]:
    loaded = models.load(options.catalog)
    debian, _ = assemble.base(recipe_of(loaded, options.image), locked=False)
    results = {}
    for way in (Naive(scratch), Seedbed(debian)):
        with running(program, scratch / "registry") as registry, step(way.name):
            results[way.name] = asdict(measure(way, loaded, options, debian, registry, scratch))
    return results


def measure(
    way: Way, loaded: Catalog, options: argparse.Namespace, debian: Layer, registry: Registry, scratch: Path
) -> Measured:
    """One way, in an order that leaves little on the disk at a time."""
    name: str = options.image
    start_afresh(debian)
    way.prepare(loaded, name)
    with step(f"{way.name}: {name} from nothing, and from nothing to a registry"):
        cold_s, published_s = way.cold(loaded, name, registry)
    docker("run", "--rm", way.build(loaded, name), "python", "-c", "import numpy")
    pushed = way.push(loaded, name, registry)
    layers = registry.layers(pushed)
    measured = Measured(cold_s, published_s, layer_bytes=new_bytes(layers, {next(iter(layers))}))
    if "unchanged" in options.parts:
        measured = replace(measured, unchanged_s=timed(lambda: way.build(loaded, name)))
    if "bump" in options.parts and isinstance(way, Seedbed):
        with step(f"{way.name}: {name} with {options.bump}"):
            bump_s, bump_bytes = measure_bump(
                way, bump(loaded, name, options.bump, scratch / "catalog"), name, registry
            )
        measured = replace(measured, bump_s=bump_s, bump_bytes=bump_bytes)
    if "pull" in options.parts:
        start_afresh()
        with step(f"{way.name}: {name} pulled"):
            measured = replace(measured, pull_s=timed(lambda: docker("pull", "--quiet", pushed)))
    if "second" in options.parts and options.second in loaded.images:
        with step(f"{way.name}: {options.second} after {name}"):
            second = layers_of_second(way, loaded, options.second, debian, registry)
        measured = replace(measured, second_bytes=new_bytes(second, layers))
    return measured


def measure_bump(way: Way, bumped: Catalog, name: str, registry: Registry) -> tuple[float, int]:
    way.prepare(bumped, name)
    bump_s = timed(lambda: way.build(bumped, name))
    before = registry.received()
    way.push(bumped, name, registry)
    return bump_s, registry.received() - before


def layers_of_second(way: Way, loaded: Catalog, name: str, debian: Layer, registry: Registry) -> dict[str, int]:
    start_afresh(debian)
    way.prepare(loaded, name)
    return registry.layers(way.push(loaded, name, registry))


def new_bytes(layers: Mapping[str, int], known: Collection[str]) -> int:
    return sum(size for digest, size in layers.items() if digest not in known)


def bump(loaded: Catalog, name: str, requirement: str, folder: Path) -> Catalog:
    """A copy of the catalog, where the image locks another version of one dependency."""
    copied = models.load(Path(shutil.copytree(loaded.root, folder)))
    image = copied.image(name)
    pin, locked = pin_of(requirement), requirements.read(image)
    assert pin.name in {other.name for other in locked.wheels}, f"{name} locks no {pin.name}"
    others = tuple(pin if other.name == pin.name else other for other in locked.wheels)
    requirements.write(image, replace(locked, wheels=others))
    recipe = recipe_of(copied, name)
    recipe.image.dockerfile_path.write_text(dockerfile.render(recipe))
    return copied


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
