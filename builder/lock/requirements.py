"""Locks of wheels: made from what the index offers, written, read, and checked without it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from builder import files, reading
from builder.catalog.models import Catalog, Image, LayerGroup
from builder.errors import SeedbedError, UsageError
from builder.lock.index import PLATFORM, Pin, resolve
from builder.lock.inputs import hash_of
from builder.reading import shown

FORMAT = 1
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9A-Za-z.!+_-]+) --hash=sha256:(?P<sha256>[0-9a-f]{64})")


class Locked(Protocol):
    """What has requirements and a lock of them: an image, or its programs."""

    @property
    def name(self) -> str: ...

    @property
    def python(self) -> str: ...

    @property
    def requirements_path(self) -> Path: ...

    @property
    def lock_path(self) -> Path: ...


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
        head = [
            f"# Made by `./build.py lock {image}`: edit image.yaml or requirements.in instead.",
            f"# format: {FORMAT}",
            f"# inputs: sha256:{self.inputs}",
            f"# cutoff: {self.cutoff}",
            f"# platform: {PLATFORM}",
        ]
        return "\n".join([*head, *map(str, self.wheels), ""])


def make(catalog: Catalog, image: Image, cutoff: str) -> Lock:
    """Resolve the image's wheels as the index stood at `cutoff` (RFC 3339); raises `SeedbedError` if none fit."""
    shared = shared_layers(catalog, image)
    constraints = [*versions(image), *(f"{wheel.name}=={wheel.version}" for wheel in wheels_of(shared))]
    lock = Lock(inputs_of(image, shared), cutoff, resolve(image.requirements_path, image.python, constraints, cutoff))
    check_layers(catalog, image, lock, shared)
    return lock


def write(what: Locked, lock: Lock) -> None:
    files.write(what.lock_path, lock.render(what.name))


def read(what: Locked) -> Lock:
    """The lock; raises `SeedbedError` if it is missing or a line is malformed."""
    remedy = f"run ./build.py lock {what.name}"
    head: dict[str, str] = {}
    wheels = []
    for number, line in enumerate(reading.text(what.lock_path, remedy).splitlines(), start=1):
        if line.startswith("#"):
            key, _, value = line.removeprefix("#").partition(":")
            head[key.strip()] = value.strip()
        elif pin := PIN.fullmatch(line):
            wheels.append(Pin(**pin.groupdict()))
        else:
            where = f"{shown(what.lock_path)}:{number}"
            raise SeedbedError(f"{where}: expected NAME==VERSION --hash=sha256:<64 hex digits>; {remedy}")
    return Lock(head.get("inputs", "").removeprefix("sha256:"), head.get("cutoff", ""), tuple(wheels))


def check(catalog: Catalog, image: Image) -> tuple[Lock, Layers]:
    """The image's lock and its layers, proven to belong to the files beside it, without a network.

    Raises `SeedbedError`.
    """
    lock, shared = read(image), shared_layers(catalog, image)
    for name, version in image.versions.items():
        if (locked := lock.version(name)) != version:
            found = f"has {locked}" if locked else "has no such package"
            where = image.where("versions", name)
            raise UsageError(
                f"{where}: says {version}, but {image.lock_path.name} {found}; run ./build.py lock {image.name}"
            )
    if lock.inputs != inputs_of(image, shared):
        raise SeedbedError(
            f"{shown(image.lock_path)}: stale, its inputs changed since it was made; run ./build.py lock {image.name}"
        )
    return lock, check_layers(catalog, image, lock, shared)


def moment(cutoff: str | None) -> str:
    """A day, or today, as the first moment of it in UTC (RFC 3339); raises `UsageError` for anything else."""
    try:
        day = date.fromisoformat(cutoff) if cutoff else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--cutoff: expected a day such as 2026-11-20, found {cutoff!r}") from None
    return f"{day.isoformat()}T00:00:00Z"


def layers_of(catalog: Catalog, image: Image, lock: Lock) -> Layers:
    """The locked wheels of every layer, in the image's order; layers without a wheel are left out."""
    groups = catalog.groups_of(image)
    homes = {wheel: next((group for group in groups if group.holds(wheel.name)), None) for wheel in lock.wheels}
    layers = [(group, tuple(wheel for wheel, home in homes.items() if home is group)) for group in groups]
    return tuple((group, wheels) for group, wheels in layers if wheels)


def shared_layers(catalog: Catalog, image: Image) -> Layers:
    """The layers that the image takes from another, by that image's lock."""
    if image.shared is None:
        return ()
    source = catalog.image(image.shared.image)
    layers = layers_of(catalog, source, read(source))
    return tuple((group, wheels) for group, wheels in layers if group.name in image.shared.layers)


def wheels_of(layers: Layers) -> list[Pin]:
    return [wheel for _, wheels in layers for wheel in wheels]


def check_layers(catalog: Catalog, image: Image, lock: Lock, shared: Layers) -> Layers:
    """The image's layers. Every wheel has one, and those that are shared hold what they hold in the source image."""
    layers = layers_of(catalog, image, lock)
    placed = set(wheels_of(layers))
    for wheel in lock.wheels:
        if wheel not in placed:
            raise UsageError(f"{image.where('layers')}: no layer takes {wheel.name}; add it, or a last layer for '*'")
    check_shared(image, layers, shared)
    return layers


def check_shared(image: Image, layers: Layers, shared: Layers) -> None:
    """Raise `SeedbedError`, with all wheels that one image has and the other lacks, unless shared layers are equal."""
    held = {group.name: wheels for group, wheels in layers}
    lacking = {group.name: [pin for pin in pins if pin not in held.get(group.name, ())] for group, pins in shared}
    besides = {group.name: [pin for pin in held.get(group.name, ()) if pin not in pins] for group, pins in shared}
    source, lock_again = image.shared and image.shared.image, f"run ./build.py lock {image.name}"
    if both := names_of(lacking) & names_of(besides):
        names = ", ".join(sorted(both))
        raise SeedbedError(f"{shown(image.lock_path)}: has other files of {names} than {source}; {lock_again} {source}")
    if names := names_of(lacking):
        raise SeedbedError(
            f"{shown(image.requirements_path)}: {image.name} shares layers with {source}, but lacks {listed(lacking)}; "
            f"add a line for each of {', '.join(sorted(names))}, and {lock_again}"
        )
    if names_of(besides):
        names = ", ".join(name for name, pins in besides.items() if pins)
        raise SeedbedError(
            f"{image.where('shared', 'layers')}: {image.name} has {listed(besides)}, which {source} lacks; take "
            f"{names} out of shared.layers, give {image.name} a layer of its own for these wheels, and {lock_again}"
        )


def names_of(wheels: Mapping[str, Sequence[Pin]]) -> set[str]:
    return {pin.name for pins in wheels.values() for pin in pins}


def listed(wheels: Mapping[str, Sequence[Pin]]) -> str:
    """Wheels by layer: `numpy==2.4.6 of layer numeric`."""
    layers = ((layer, ", ".join(f"{pin.name}=={pin.version}" for pin in pins)) for layer, pins in wheels.items())
    return ", ".join(f"{pins} of layer {layer}" for layer, pins in layers if pins)


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
    return hash_of(inputs)


def requirements_in(what: Locked) -> list[str]:
    """The lines of requirements.in without comments and empty ones."""
    lines = reading.text(what.requirements_path, "write the packages to install into it, one a line").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def versions(image: Image) -> list[str]:
    return [f"{name}=={version}" for name, version in sorted(image.versions.items())]
