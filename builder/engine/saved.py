"""An image as `docker save` streams it, in the OCI image layout: the engine's API has no call for less."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, BinaryIO, cast

from docker.models.images import Image as InEngine

from builder.errors import SeedbedError
from builder.oci.images import Image, read_image
from builder.reading import LARGEST


def read(name: str, image: InEngine) -> Image:
    """An image in the engine. Its documents are read in one pass, each blob in one more: some seconds a gigabyte."""
    documents = documents_of(image)

    def source(path: str) -> AbstractContextManager[BinaryIO]:
        return nullcontext(io.BytesIO(documents[path])) if path in documents else file_of(name, image, path)

    return read_image(name, source, lambda: files_of(image))


def documents_of(image: InEngine) -> dict[str, bytes]:
    """Index, manifest, config and whatever else is small, by its path in the layout."""
    with archive_of(image) as archive:
        small = (member for member in archive if member.isfile() and member.size < LARGEST)
        return {member.name: cast(BinaryIO, archive.extractfile(member)).read() for member in small}


@contextmanager
def file_of(name: str, image: InEngine, path: str) -> Iterator[BinaryIO]:
    """One file of the layout, to be read from front to back."""
    with archive_of(image) as archive:
        for member in archive:
            if member.name == path and (file := archive.extractfile(member)):
                yield cast(BinaryIO, file)
                return
    raise SeedbedError(f"{name}: the engine saves it without {path}")


def files_of(image: InEngine) -> Iterator[tuple[str, BinaryIO]]:
    """Every file of the layout, in one pass."""
    with archive_of(image) as archive:
        for member in archive:
            if member.isfile():
                yield member.name, cast(BinaryIO, archive.extractfile(member))


@contextmanager
def archive_of(image: InEngine) -> Iterator[tarfile.TarFile]:
    with streamed(image.save()) as archive:
        yield archive


def streamed(chunks: Iterator[bytes]) -> tarfile.TarFile:
    """A tar as the engine sends it, to be read from front to back."""
    return tarfile.open(fileobj=io.BufferedReader(Chunks(chunks), 1 << 20), mode="r|")


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
