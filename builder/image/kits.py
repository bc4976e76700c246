"""Rebuild kits that an image may be built from, and all downloads of a build, brought into the cache before it."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from builder.debian.archive import Package
from builder.errors import SeedbedError
from builder.image import digest, tags
from builder.image.recipe import Recipe
from builder.layers import base, kit, wheels
from builder.layers.kit import Kit, KitAtHand, PublishedKit
from builder.lock import programs

VARIABLE = "SEEDBED_KIT"
"""Names a rebuild kit at hand, a file or folder."""


def of(recipe: Recipe) -> Sequence[Kit]:
    """The kit that `SEEDBED_KIT` names, and that of the published image, if `SEEDBED_REPOSITORY` says where it is."""
    kits: list[Kit] = []
    if named := os.environ.get(VARIABLE):
        kits.append(KitAtHand(Path(named)))
    if place := tags.published():
        kits.append(PublishedKit(f"{place}/{recipe.name}", recorded(recipe) or recipe.image.full_tag))
    return kits


def elsewhere() -> dict[str, str]:
    """The variables by which a process in another folder finds the kit at hand."""
    named = os.environ.get(VARIABLE)
    return {VARIABLE: str(Path(named).absolute())} if named else {}


def recorded(recipe: Recipe) -> str | None:
    """The digest of record, if there is one of these locks."""
    with suppress(SeedbedError):
        return digest.read(recipe)
    return None


def fetch_packages(recipe: Recipe) -> None:
    """Bring the locked Debian packages into the cache; raises SeedbedError if one is no longer available."""
    base.fetch(recipe.base, recipe.packages, locked=True, kits=of(recipe))


def missing_packages(recipe: Recipe) -> list[Package]:
    """Those of the locked Debian packages that the cache lacks."""
    return base.missing(recipe.packages.everything)


def take_in(package: Package, data: BinaryIO, where: str) -> None:
    """Put a package into the cache; raises SeedbedError, which names `where` it is from, if its bytes are others."""
    kit.bring(package, data, base.folder_of_packages(), where)


def fetch(recipe: Recipe, *, tests: bool) -> int:
    """Bring all that a build takes from a network into the cache, with `tests` also what programs of smoke tests need.

    Returns how many files that is. Raises SeedbedError if one cannot be fetched.
    """
    fetch_packages(recipe)
    pins = list(recipe.wheels.wheels)
    if tests and (scripts := programs.of(recipe.image)).scripts:
        pins += programs.check(scripts, recipe.wheels).wheels
    wheels.fetch(pins, recipe.image.python)
    return 1 + len(recipe.packages.packages) + len(pins)
