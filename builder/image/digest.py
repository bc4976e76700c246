"""The digest of record: the digest an image must have, committed in `images/NAME/digest` for anybody to check.

Beside it stand the sizes that follow from it, for the pages about images.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from builder import files, reading
from builder.errors import SeedbedError
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.reading import shown

FORM = re.compile(
    r"(?:#.*\n)*lock sha256:(?P<lock>[0-9a-f]{64})\nmanifest (?P<manifest>sha256:[0-9a-f]{64})\n"
    r"(?:compressed (?P<compressed>[0-9]{1,15})\nunpacked (?P<unpacked>[0-9]{1,15})\n)?"
)


@dataclass(frozen=True)
class Sizes:
    """Of an image, in bytes."""

    compressed: int
    unpacked: int

    def __str__(self) -> str:
        return f"{self.compressed} bytes compressed and {self.unpacked} unpacked"


def path_of(recipe: Recipe) -> Path:
    return recipe.image.folder / "digest"


def read(recipe: Recipe) -> str | None:
    """The digest that the image must have; None if none is recorded.

    Raises SeedbedError if it is of other locks than the recipe's, or the file is not of the form.
    """
    found = parsed(recipe)
    if found and found["lock"] != recipe.lock:
        raise SeedbedError(f"{shown(path_of(recipe))}: stale, the locks changed since it was made; {remedy(recipe)}")
    return found["manifest"] if found else None


def sizes(recipe: Recipe) -> Sizes | None:
    """The sizes of the image last recorded, even if that is stale; None if none are recorded.

    Raises SeedbedError if the file is not of the form.
    """
    found = parsed(recipe)
    return Sizes(int(found["compressed"]), int(found["unpacked"])) if found and found["compressed"] else None


def parsed(recipe: Recipe) -> re.Match[str] | None:
    path = path_of(recipe)
    if not path.exists():
        return None
    if found := FORM.fullmatch(reading.text(path)):
        return found
    raise SeedbedError(f"{shown(path)}: expected lines `lock sha256:…` and `manifest sha256:…`; {remedy(recipe)}")


def write(recipe: Recipe, built: Record) -> None:
    """Write down what was built; raises SeedbedError if that is not what the locks say."""
    if not built.locked:
        raise SeedbedError(f"{recipe.name}: has no digest of record: it was not made of the packages that are locked")
    head = f"# Made by `./build.py build --record {recipe.name}`; `./build.py verify {recipe.name}` proves it."
    sizes = f"compressed {built.compressed}\nunpacked {built.unpacked}\n"
    files.write(path_of(recipe), f"{head}\nlock sha256:{recipe.lock}\nmanifest {built.digest}\n{sizes}")


def complaint(recipe: Recipe, built: Record, *, expected: bool) -> str | None:
    """Why what was built is not the image of record; None if it is, or if there is no record and none `expected`."""
    if not built.locked:
        return f"{recipe.name}: not to be compared with the digest of record: {'; '.join(built.substituted)}"
    try:
        recorded = read(recipe)
    except SeedbedError as error:
        return str(error)
    if recorded is None:
        return f"{shown(path_of(recipe))}: missing; run ./build.py build --record {recipe.name}" if expected else None
    if recorded != built.digest:
        return f"{shown(path_of(recipe))}: says {recorded}, built was {built.digest}; {remedy(recipe)}"
    said, found = sizes(recipe), Sizes(built.compressed, built.unpacked)
    if said and said != found:
        return f"{shown(path_of(recipe))}: says {said}, the image has {found}; {remedy(recipe)}"
    return None


def remedy(recipe: Recipe) -> str:
    return f"if it is meant to change, run ./build.py build --record {recipe.name}"
