"""The files of an image as a container sees them, its layers on top of each other, as data to compare."""

import hashlib
import re
import tarfile
from dataclasses import dataclass

from builder.reproduce.diff import Image
from builder.reproduce.difference import path_of


@dataclass(frozen=True)
class File:
    """What two ways of building must agree on; times are not among it."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    sha256: str


def tree_of(image: Image, *, leave_out: re.Pattern[str]) -> dict[str, File]:
    """Every file of the image by its path, but for those the pattern matches."""
    tree: dict[str, File] = {}
    for index in range(len(image.layers)):
        with image.layer(index) as archive:
            for member in archive:
                path = path_of(member)
                if not leave_out.search(path):
                    tree[path] = described(archive, member)
    return tree


def described(archive: tarfile.TarFile, member: tarfile.TarInfo) -> File:
    file = archive.extractfile(member) if member.isreg() else None
    sha256 = hashlib.file_digest(file, "sha256").hexdigest() if file else ""
    return File(member.type, member.mode, (member.uid, member.gid), member.linkname, sha256)


def differences(ours: dict[str, File], theirs: dict[str, File]) -> list[str]:
    return [
        f"{path}: {ours.get(path)} and {theirs.get(path)}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]
