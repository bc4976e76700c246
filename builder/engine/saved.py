"""An image as `docker save` streams it, in the OCI image layout: the engine's API has no call for less."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from docker.models.images import Image

from builder.errors import SeedbedError

LARGEST_JSON = 1 << 20


@dataclass(frozen=True)
class SavedLayer:
    """A layer of an image in the engine; `size` is compressed, in bytes, `what` the step that made it."""

    digest: str
    size: int
    what: str


@dataclass(frozen=True)
class SavedImage:
    """An image in the engine. Each look at it takes some seconds a gigabyte."""

    name: str
    image: Image

    def layers(self) -> list[SavedLayer]:
        """The layers of an image that is named by its manifest's digest, as manifest and history have them."""
        documents = self.documents()
        manifest = json.loads(documents[f"blobs/{self.name.replace(':', '/')}"])
        history = json.loads(documents[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])["history"]
        steps = [step.get("created_by", "") for step in history if not step.get("empty_layer")]
        return [
            SavedLayer(layer["digest"], layer["size"], step)
            for layer, step in zip(manifest["layers"], steps, strict=True)
        ]

    def documents(self) -> dict[str, bytes]:
        """Index, manifest, config and whatever else is small, by its path in the layout."""
        with self.archive() as archive:
            small = (member for member in archive if member.isfile() and member.size < LARGEST_JSON)
            return {member.name: read(archive, member) for member in small}

    @contextmanager
    def file(self, path: str) -> Iterator[BinaryIO]:
        """One file of the layout, to be read from front to back."""
        with self.archive() as archive:
            for member in archive:
                if member.name == path and (file := archive.extractfile(member)):
                    yield cast(BinaryIO, file)
                    return
        raise SeedbedError(f"{self.name}: the engine saves it without {path}")

    @contextmanager
    def archive(self) -> Iterator[tarfile.TarFile]:
        stream = io.BufferedReader(Chunks(self.image.save()), 1 << 20)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            yield archive


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


class Chunks(io.RawIOBase):
    """What an iterator of bytes yields, as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = iter(chunks)
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            self.rest = memoryview(next(self.chunks, b""))
        taken = min(len(buffer), len(self.rest))
        buffer[:taken] = self.rest[:taken]
        self.rest = self.rest[taken:]
        return taken
