"""What an image is made of, resolved and checked once: everything after takes a Recipe, and reads no lock again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import reading
from builder.catalog import models
from builder.catalog.models import Base, Catalog, Image
from builder.lock import packages, requirements
from builder.lock.requirements import Layers


@dataclass(frozen=True)
class Recipe:
    """An image and its base with their locks; `layers` are its groups of wheels, bottom first.

    `lock` is the hex sha256 of both lock files.
    """

    image: Image
    base: Base
    packages: packages.Lock
    wheels: requirements.Lock
    layers: Layers
    lock: str

    @property
    def name(self) -> str:
        return self.image.name

    @property
    def epoch(self) -> int:
        """Seconds since 1970 that every file and every record of a build carries."""
        return self.base.source_date_epoch

    def holds(self, wheel: str) -> bool:
        return self.wheels.version(wheel) is not None

    def pins(self) -> list[str]:
        """The Debian packages that image.yaml names, as `name=version`: the form that apt-get takes."""
        return [f"{name}={self.packages.version(name)}" for name in sorted(self.base.packages)]


def resolve(catalog: Catalog, image: Image) -> Recipe:
    """Read and check both locks; raises SeedbedError, with what to run, if one is missing or stale."""
    base = catalog.bases[image.base]
    locked_packages = packages.check(base)
    locked_wheels, layers = requirements.check(catalog, image)
    return Recipe(image, base, locked_packages, locked_wheels, layers, digest_of_locks(base, image))


def resolve_all(root: Path, names: Sequence[str], *, default: bool = False) -> list[Recipe]:
    """The recipes of the images named of the catalog in `root`; whose layers are shared comes first.

    If none is named: of all images, or with `default` of the default ones. Raises UsageError for a name of no image.
    """
    catalog = models.load(root)
    for name in names:
        catalog.image(name)  # `select` takes the names of bases, too
    return [resolve(catalog, image) for image in catalog.select(names, default=default)]


def resolve_one(root: Path, name: str) -> Recipe:
    """The recipe of that image of the catalog in `root`; raises UsageError if there is none of that name."""
    catalog = models.load(root)
    return resolve(catalog, catalog.image(name))


def digest_of_locks(base: Base, image: Image) -> str:
    return hashlib.sha256(reading.data(base.lock_path) + reading.data(image.lock_path)).hexdigest()
