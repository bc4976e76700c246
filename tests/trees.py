"""The files of an image, as data to compare: what `docker save` streams, unpacked layer upon layer in memory."""

import hashlib
import io
import re
import tarfile
from dataclasses import dataclass

import zstandard

from builder.engine import Chunks, Engine


@dataclass(frozen=True)
class File:
    """What two ways of building must agree on; times are not among it."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    sha256: str


def tree_of(engine: Engine, image: str, *, leave_out: re.Pattern[str]) -> dict[str, File]:
    """Every file of the image by its path, but for those the pattern matches. For small images: blobs are in memory."""
    tree: dict[str, File] = {}
    blobs = saved(engine, image)
    for layer in engine.layers(image):
        blob = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(blobs[layer.digest.removeprefix("sha256:")]))
        with tarfile.open(fileobj=io.BytesIO(blob.read())) as archive:
            for member in archive:
                path = "/" + member.name.removeprefix("./").rstrip("/")
                if not leave_out.search(path):
                    tree[path] = described(archive, member)
    return tree


def saved(engine: Engine, image: str) -> dict[str, bytes]:
    stream = io.BufferedReader(Chunks(engine.client.images.get(image).save()), 1 << 20)
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        return {
            member.name.rpartition("/")[2]: file.read()
            for member in archive
            if member.isfile() and (file := archive.extractfile(member))
        }


def described(archive: tarfile.TarFile, member: tarfile.TarInfo) -> File:
    file = archive.extractfile(member) if member.isreg() else None
    sha256 = hashlib.sha256(file.read()).hexdigest() if file else ""
    return File(member.type, member.mode, (member.uid, member.gid), member.linkname, sha256)


def differences(ours: dict[str, File], theirs: dict[str, File]) -> list[str]:
    return [
        f"{path}: {ours.get(path)} and {theirs.get(path)}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]
