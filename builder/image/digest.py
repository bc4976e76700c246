"""The digest of record: the digest an image must have, committed in `images/NAME/digest` for anybody to check."""

import re
from pathlib import Path

from builder import files, reading
from builder.errors import SeedbedError
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.reading import shown

FORM = re.compile(r"(?:#.*\n)*lock sha256:(?P<lock>[0-9a-f]{64})\nmanifest (?P<manifest>sha256:[0-9a-f]{64})\n")


def path_of(recipe: Recipe) -> Path:
    return recipe.image.folder / "digest"


def read(recipe: Recipe) -> str | None:
    """The digest that the image must have; None if none is recorded.

    Raises SeedbedError if it is of other locks than the recipe's, or the file is not of the form.
    """
    path = path_of(recipe)
    if not path.exists():
        return None
    found = FORM.fullmatch(reading.text(path))
    if found is None:
        raise SeedbedError(f"{shown(path)}: expected lines `lock sha256:…` and `manifest sha256:…`; {remedy(recipe)}")
    if found["lock"] != recipe.lock:
        raise SeedbedError(f"{shown(path)}: stale, the locks changed since it was made; {remedy(recipe)}")
    return found["manifest"]


def write(recipe: Recipe, built: Record) -> None:
    """Write down what was built; raises SeedbedError if that is not what the locks say."""
    if not built.locked:
        raise SeedbedError(f"{recipe.name}: has no digest of record: it was not made of the packages that are locked")
    head = f"# Made by `./build.py build --record {recipe.name}`; `./build.py verify {recipe.name}` proves it."
    files.write(path_of(recipe), f"{head}\nlock sha256:{recipe.lock}\nmanifest {built.digest}\n")


def complaint(recipe: Recipe, built: Record, *, expected: bool) -> str | None:
    """Why what was built is not the image of record; None if it is, or if there is no record and none `expected`."""
    if not built.locked:
        return f"{recipe.name}: not to be compared with the digest of record: {'; '.join(built.moved)}"
    try:
        recorded = read(recipe)
    except SeedbedError as error:
        return str(error)
    if recorded is None:
        return f"{shown(path_of(recipe))}: missing; run ./build.py build --record {recipe.name}" if expected else None
    if recorded == built.digest:
        return None
    return f"{shown(path_of(recipe))}: says {recorded}, built was {built.digest}; {remedy(recipe)}"


def remedy(recipe: Recipe) -> str:
    return f"if it is meant to change, run ./build.py build --record {recipe.name}"
