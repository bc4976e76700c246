"""Locks of wheels: made from what the index offers, written, read, and checked without it."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from builder import files, reading
from builder.catalog.image import Image, LayerGroup, Locked
from builder.catalog.models import Catalog
from builder.errors import SeedbedError, UsageError
from builder.lock import lockfile
from builder.lock.index import PLATFORM, Pin, resolve
from builder.lock.lockfile import remedy
from builder.reading import shown

FORMAT = 1
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9A-Za-z.!+_-]+) --hash=sha256:(?P<sha256>[0-9a-f]{64})")


Layers = tuple[tuple[LayerGroup, tuple[Pin, ...]], ...]
"""Groups of wheels, bottom first, and the wheels in each."""


@dataclass(frozen=True)
class Lock:
    """A requirements.lock as read: what `pip install --require-hashes` takes, under a header of our own."""

    inputs: str
    cutoff: str
    wheels: tuple[Pin, ...]

    def version(self, name: str) -> str | None:
        return next((wheel.version for wheel in self.wheels if wheel.name == name), None)

    def render(self, image: str) -> str:
        """The file's text: one wheel a line, sorted by name, one hash each."""
        header = {"format": FORMAT, "inputs": f"sha256:{self.inputs}", "cutoff": self.cutoff, "platform": PLATFORM}
        return lockfile.render(image, "image.yaml or requirements.in", header, self.wheels)


def make(catalog: Catalog, image: Image, cutoff: str) -> Lock:
    """Resolve the image's wheels as the index stood at `cutoff` (RFC 3339); raises `SeedbedError` if none fit."""
    shared = shared_layers(catalog, image)
    constraints = [*versions(image), *(wheel.release for wheel in wheels_of(shared))]
    lock = Lock(inputs_of(image, shared), cutoff, resolve(image.requirements_path, image.python, constraints, cutoff))
    check_layers(image, lock, shared)
    return lock


def write(what: Locked, lock: Lock) -> None:
    files.write(what.lock_path, lock.render(what.name))


def read(what: Locked) -> Lock:
    """The lock; raises `SeedbedError` if it is missing or a line is malformed."""

    def parse(line: str, where: str) -> Pin:
        if pin := PIN.fullmatch(line):
            return Pin(**pin.groupdict())
        raise SeedbedError(f"{where}: expected NAME==VERSION --hash=sha256:<64 hex digits>; {remedy(what.name)}")

    header, wheels = lockfile.read(what.lock_path, what.name, parse)
    return Lock(header.get("inputs", "").removeprefix("sha256:"), header.get("cutoff", ""), wheels)


def check(catalog: Catalog, image: Image) -> tuple[Lock, Layers]:
    """The image's lock and its layers, proven to belong to the files beside it, without a network.

    Raises `SeedbedError`.
    """
    lock, shared = read(image), shared_layers(catalog, image)
    for name, version in image.versions.items():
        if (locked := lock.version(name)) != version:
            found = f"has {locked}" if locked else "has no such package"
            where = image.where("versions", name)
            raise UsageError(f"{where}: says {version}, but {image.lock_path.name} {found}; {remedy(image.name)}")
    lockfile.refuse_stale(image.lock_path, image.name, lock.inputs, inputs_of(image, shared))
    return lock, check_layers(image, lock, shared)


def moment(cutoff: str | None) -> str:
    """A day, or today, as the first moment of it in UTC (RFC 3339); raises `UsageError` for anything else."""
    try:
        day = date.fromisoformat(cutoff) if cutoff else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--cutoff: expected a day such as 2026-11-20, found {cutoff!r}") from None
    return f"{day.isoformat()}T00:00:00Z"


def layers_of(image: Image, lock: Lock, shared: Layers) -> Layers:
    """The locked wheels of every layer, in the image's order; layers without a wheel are left out.

    A shared layer takes the wheels, by name, that it has in its source image; the others go to the first of the image's
    own groups with a pattern for them.
    """
    homes = {wheel.name: group for group, wheels in shared for wheel in wheels}
    for wheel in lock.wheels:
        if own := next((group for group in image.layers if group.holds(wheel.name)), None):
            homes.setdefault(wheel.name, own)
    groups = [*(group for group, _ in shared), *image.layers]
    layers = [(group, tuple(wheel for wheel in lock.wheels if homes.get(wheel.name) is group)) for group in groups]
    return tuple((group, wheels) for group, wheels in layers if wheels)


def shared_layers(catalog: Catalog, image: Image) -> Layers:
    """The layers that the image takes from others, by the locks of those; raises `UsageError` if two have one wheel."""
    layers: list[tuple[LayerGroup, tuple[Pin, ...]]] = []
    homes: dict[str, str] = {}
    for index, shared in enumerate(image.shared):
        source = catalog.image(shared.image)
        layers_of_source = layers_of(source, read(source), shared_layers(catalog, source))
        held = {group.name: (group, wheels) for group, wheels in layers_of_source}
        for number, name in enumerate(shared.layers):
            if name not in held:  # it has no wheel
                continue
            layers.append(held[name])
            home = f"{name} of {source.name}"
            if twice := [wheel.name for wheel in held[name][1] if homes.setdefault(wheel.name, home) != home]:
                where = image.where("shared", index, "layers", number)
                raise UsageError(
                    f"{where}: {', '.join(twice)} would be in two layers, {homes[twice[0]]} and {home}; "
                    "take one of them out of shared"
                )
    return tuple(layers)


def wheels_of(layers: Layers) -> list[Pin]:
    return [wheel for _, wheels in layers for wheel in wheels]


def check_layers(image: Image, lock: Lock, shared: Layers) -> Layers:
    """The image's layers. Every wheel has one, and those that are shared hold what they hold in the source image."""
    layers = layers_of(image, lock, shared)
    placed = set(wheels_of(layers))
    for wheel in lock.wheels:
        if wheel not in placed:
            raise UsageError(f"{image.where('layers')}: no layer takes {wheel.name}; add it, or a last layer for '*'")
    check_shared(image, lock, shared)
    return layers


def check_shared(image: Image, lock: Lock, shared: Layers) -> None:
    """Raise `SeedbedError`, with all wheels that the lock has not, unless it has every wheel of the shared layers."""
    missing = {group.name: [pin for pin in pins if pin not in lock.wheels] for group, pins in shared}
    lacking = {layer: pins for layer, pins in missing.items() if pins}
    if not lacking:
        return
    names = sorted(pin.name for pins in lacking.values() for pin in pins)
    sources = [each.image for each in image.shared if not lacking.keys().isdisjoint(each.layers)]
    if other := [name for name in names if lock.version(name)]:
        raise SeedbedError(
            f"{shown(image.lock_path)}: has other files of {', '.join(other)} than {' and '.join(sources)}; "
            f"{remedy(image.name)} {' '.join(sources)}"
        )
    wheels = (f"{', '.join(pin.release for pin in pins)} of layer {layer}" for layer, pins in lacking.items())
    raise SeedbedError(
        f"{shown(image.requirements_path)}: {image.name} shares layers with {' and '.join(sources)}, but lacks "
        f"{', '.join(wheels)}; add a line for each of {', '.join(names)}, and {remedy(image.name)}"
    )


def inputs_of(image: Image, shared: Layers) -> str:
    """The hex sha256 of all inputs that decide what the lock contains, except its cut-off date."""
    inputs = {
        "format": FORMAT,
        "platform": PLATFORM,
        "python": image.python,
        "requirements": requirements_in(image),
        "versions": versions(image),
        "borrowed": [str(wheel) for wheel in wheels_of(shared)],
    }
    return lockfile.hash_of(inputs)


def requirements_in(what: Locked) -> list[str]:
    """The lines of requirements.in without comments and empty ones."""
    lines = reading.text(what.requirements_path, "write the packages to install into it, one a line").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def versions(image: Image) -> list[str]:
    return [f"{name}=={version}" for name, version in sorted(image.versions.items())]
