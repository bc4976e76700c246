"""The numbers that are committed beside an image: golden fingerprints, and the sha256 that each program ends with.

Both files have one form: a training, then a kind of machine, then what was found there and where it comes from.
"""

from collections.abc import Mapping

from pydantic_core import from_json

from builder.errors import SeedbedError
from builder.reproduce.changes import Number, Numbers, changes

FILES = {"golden fingerprints": "golden.json", "third-party programs": "programs.json"}
ORIGIN = ("lock", "packages", "machine")
"""Where a number was found. It may stay the same elsewhere."""

Known = Mapping[tuple[str, str], Mapping[str, str]]
"""What was found, by training and kind of machine."""


def read(text: str, where: str) -> dict[tuple[str, str], dict[str, str]]:
    """The numbers of one file; none if the text is empty. Raises SeedbedError, with `where`, for any other form."""
    if not text:
        return {}
    try:
        document = from_json(text)
        return {
            (training, kind): {name: str(value) for name, value in found.items()}
            for training, of in document.items()
            for kind, found in of.items()
        }
    except (ValueError, AttributeError) as error:
        raise SeedbedError(f"{where}: expected numbers by training and kind of machine: {error}") from None


def compare(what: str, before: Known, after: Known, lock: str) -> Numbers:
    """`lock` is the hex sha256 of the new state's locks, by which numbers are known that were recorded with them."""
    keys = sorted(before.keys() | after.keys())
    found = {key: changes(bits(before.get(key, {})), bits(after.get(key, {}))) for key in keys}
    current = {key: after.get(key, {}).get("lock", "").removeprefix("sha256:") == lock for key in keys}
    changed = tuple(Number(*key, fields, current[key]) for key, fields in found.items() if fields)
    same = [current[key] for key, fields in found.items() if not fields]
    return Numbers(what, changed, len(same), same.count(False))


def bits(found: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if name not in ORIGIN}
