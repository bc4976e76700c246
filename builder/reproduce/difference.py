"""The first difference between two JSON documents, or between the files of two tars.

Tars are read in step: no more of them is held in memory than the names in one layer.
"""

import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, BinaryIO, cast

from builder.oci.images import KINDS
from builder.oci.tar import CHUNK, XATTR

MISSING = "missing"


@dataclass(frozen=True)
class Difference:
    """Two images differ in `field` of `where`, a document or a file of a layer: `ours` is its value, and `theirs`."""

    where: str
    field: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.ours} | {self.theirs}"


def document_difference(where: str, ours: Any, theirs: Any, field: str = "") -> Difference | None:
    """The first field of two JSON documents that differs, as its path."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        pairs = [(key, ours.get(key, MISSING), theirs.get(key, MISSING)) for key in sorted(ours.keys() | theirs.keys())]
    elif isinstance(ours, list) and isinstance(theirs, list):
        pairs = [(str(at), *pair) for at, pair in enumerate(zip_longest(ours, theirs, fillvalue=MISSING))]
    else:
        return None if ours == theirs else Difference(where, field, shown_value(ours), shown_value(theirs))
    found = (document_difference(where, one, other, f"{field}.{key}".lstrip(".")) for key, one, other in pairs)
    return next((difference for difference in found if difference), None)


def shown_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def file_difference(where: str, ours: tarfile.TarFile, theirs: tarfile.TarFile) -> Difference | None:
    """The first file of two tars that differs. They are read in step, so neither need be held."""
    left, right = iter(ours), iter(theirs)
    for one, other in zip_longest(left, right):
        if one is None or other is None or path_of(one) != path_of(other):
            return misplaced(where, [file for file in (one, *left) if file], [file for file in (other, *right) if file])
        here, there = described(one), described(other)
        found = next(((field, here[field], there[field]) for field in here if here[field] != there[field]), None)
        if found is None and one.isreg():
            contents = (cast(BinaryIO, tar.extractfile(file)) for tar, file in ((ours, one), (theirs, other)))
            found = content_difference(*contents)
        if found:
            return Difference(f"{where}: {path_of(one)}", *found)
    return None


def path_of(file: tarfile.TarInfo) -> str:
    return "/" + file.name.removeprefix("./").strip("/")


def described(file: tarfile.TarInfo) -> dict[str, str]:
    """All that a tar says of a file, in words."""
    xattrs = {name: value for name, value in sorted(file.pax_headers.items()) if name.startswith(XATTR)}
    return {
        "type": KINDS.get(file.type, repr(file.type)),
        "link": file.linkname,
        "mode": f"{file.mode:04o}",
        "owner": f"{file.uid}:{file.gid}",
        "owner's name": f"{file.uname}:{file.gname}",
        "mtime": moment(file.mtime),
        "size": str(file.size),
        "device": f"{file.devmajor}:{file.devminor}",
        "xattrs": ascii(xattrs),
    }


def moment(mtime: float) -> str:
    """The time in UTC; of times that no calendar has, the seconds."""
    try:
        return datetime.fromtimestamp(mtime, UTC).isoformat()
    except (ValueError, OverflowError):
        return str(mtime)


def content_difference(ours: BinaryIO, theirs: BinaryIO) -> tuple[str, str, str] | None:
    """The first byte, counted from 0, in which two contents of one size differ."""
    offset = 0
    while (one := ours.read(CHUNK)) == (other := theirs.read(CHUNK)):
        if not one:
            return None
        offset += len(one)
    at = next(at for at, (byte, its) in enumerate(zip(one, other, strict=True)) if byte != its)
    return f"content at byte {offset + at}", f"{one[at]:#04x}", f"{other[at]:#04x}"


def misplaced(where: str, ours: Sequence[tarfile.TarInfo], theirs: Sequence[tarfile.TarInfo]) -> Difference:
    """How two tars differ that go on with different files: one of them is missing, or they stand in another order."""
    left, right = [path_of(file) for file in ours], [path_of(file) for file in theirs]
    if left and left[0] not in right:
        return Difference(f"{where}: {left[0]}", "presence", "there", MISSING)
    if right and right[0] not in left:
        return Difference(f"{where}: {right[0]}", "presence", MISSING, "there")
    return Difference(f"{where}: {left[0]}", "order of entries", f"before {right[0]}", f"after {right[0]}")
