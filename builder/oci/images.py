"""Images that others may have made: read from an OCI layout, an archive of one, or wherever else a `Source` leads.

Nothing in them is believed before it is checked. Blobs are streamed: of the largest image no more is held in memory
than its JSON.

Source: OCI image specification 1.1, image-layout.md, manifest.md, config.md.
"""

import gzip
import hashlib
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError
from pydantic_core import from_json

from builder import reading
from builder.errors import SeedbedError
from builder.oci.store import Digest, blob_path
from builder.problems import first_problem

INDEX = "index.json"
DEEPEST = 4
"""Indexes in each other on the way to an image; two are usual."""

UNREADABLE = (
    tarfile.TarError, zstandard.ZstdError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, LookupError,
    ArithmeticError, RecursionError,
)  # fmt: skip
"""What the readers of tars raise for those that are none: they were not written for the hostile."""

KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "FIFO",
}


Source = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a file of an OCI layout by its path in it; raises SeedbedError where there is none."""


@dataclass(frozen=True)
class Image:
    """An image that can be read: its manifest's digest, its documents, and what opens its blobs."""

    name: str
    digest: str
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    source: Source

    @property
    def labels(self) -> Mapping[str, str]:
        return (self.config.get("config") or {}).get("Labels") or {}

    @property
    def diff_ids(self) -> list[str]:
        return list(self.config["rootfs"]["diff_ids"])

    @property
    def layers(self) -> list[str]:
        return [layer["digest"] for layer in self.manifest["layers"]]

    def step(self, index: int) -> str:
        """What made a layer, as the history tells it; empty if it does not."""
        steps = [step for step in self.config.get("history") or () if not step.get("empty_layer")]
        return (steps[index].get("created_by") or "") if index < len(steps) else ""

    def layer_name(self, index: int) -> str:
        """A layer's place, counted from 1, and what made it."""
        step = self.step(index)
        return f"layer {index + 1} ({step})" if step else f"layer {index + 1}"

    @contextmanager
    def layer(self, index: int) -> Iterator[tarfile.TarFile]:
        """A layer's tar, to be read once from front to back."""
        layer = self.manifest["layers"][index]
        with self.source(blob_path(layer["digest"])) as blob, unpacked(blob, layer["mediaType"]) as tar:
            yield tar


class Document(BaseModel):
    """What is read of a document; it may say more."""

    model_config = ConfigDict(strict=True)


class Part(Document):
    mediaType: str
    digest: Digest
    size: NonNegativeInt


class Platform(Document):
    architecture: str = "amd64"


class Entry(Document):
    digest: str  # of those for other platforms nothing is read
    platform: Platform | None = None


class Index(Document):
    manifests: list[Entry]


class Manifest(Document):
    config: Part
    layers: list[Part]


class RootFS(Document):
    diff_ids: list[Digest]


class Step(Document):
    created_by: str | None = None
    empty_layer: bool = False


class Container(Document):
    Labels: dict[str, str] | None = None


class Config(Document):
    rootfs: RootFS
    history: list[Step] | None = None
    config: Container | None = None


def read_image(name: str, source: Source, digest: str = "") -> Image:
    """The image with this digest; else follow the index to the one image for linux/amd64.

    Raises SeedbedError where there are none or several.
    """
    try:
        document = document_in(source, blob_path(digest)) if digest else document_in(source, INDEX, Index)
        for _ in range(DEEPEST):
            if "manifests" not in document:
                break
            choices = {entry["digest"] for entry in document["manifests"] if is_image(entry)}
            if len(choices) != 1:
                raise SeedbedError(f"{name}: expected one image for linux/amd64, found {len(choices)}")
            [digest] = choices
            document = document_in(source, blob_path(digest))
        if "manifests" in document:
            raise ValueError("an index in an index in an index")
        config = document_in(source, blob_path(document["config"]["digest"]), Config)
        if len(config["rootfs"]["diff_ids"]) != len(document["layers"]):
            raise ValueError("its config and its manifest differ in their number of layers")
    except ValueError as error:
        raise SeedbedError(f"{name}: expected an OCI image, found one that is damaged: {error}") from None
    return Image(name, digest, document, config, source)


def is_image(entry: Mapping[str, Any]) -> bool:
    """Not another platform's, and no attestation: those say that their architecture is unknown."""
    return bool((entry.get("platform") or {}).get("architecture", "amd64") == "amd64")


def document_in(source: Source, path: str, form: type[Document] | None = None) -> dict[str, Any]:
    """A document of the image, of that form, else an index or a manifest; raises ValueError for anything else."""
    with source(path) as file:
        try:
            data = file.read(reading.LARGEST + 1)
        except UNREADABLE as error:
            raise ValueError(f"{path}: {error}") from None
    if len(data) > reading.LARGEST:
        raise ValueError(f"{path}: larger than any document")
    document = from_json(data)  # refuses what is nested deeply
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected an object")
    try:
        (form or (Index if "manifests" in document else Manifest)).model_validate(document)
    except ValidationError as failed:
        keys, problem = first_problem(failed)
        raise ValueError(": ".join([path, *filter(None, [".".join(map(str, keys))]), problem])) from None
    return document


def intact(image: Image) -> Image:
    """The image, once all its blobs are proven: whoever trusts a digest has to know that it is the blob's."""
    sizes = {part["digest"]: part["size"] for part in (image.manifest["config"], *image.manifest["layers"])}
    for digest in (image.digest, *sizes):
        with image.source(blob_path(digest)) as blob:
            size = blob.seek(0, os.SEEK_END)
            if size != sizes.get(digest, size):
                raise SeedbedError(f"{image.name}: damaged: the blob {digest} has {size} bytes, not {sizes[digest]}")
            blob.seek(0)
            try:
                found = f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}"
            except UNREADABLE as error:
                raise SeedbedError(f"{image.name}: damaged: the blob {digest} cannot be read: {error}") from None
        if found != digest:
            raise SeedbedError(f"{image.name}: damaged: the blob {digest} has the digest {found}")
    return image


def of_layout(folder: Path, path: str) -> BinaryIO:
    if not (folder / path).exists():
        raise SeedbedError(f"{folder}: expected an OCI image layout, found no {path} in it")
    return reading.opened(folder / path)


@contextmanager
def of_archive(archive: Path, path: str) -> Iterator[BinaryIO]:
    with reading.opened(archive) as file, in_archive(file, str(archive), path) as member:
        yield member


@contextmanager
def in_archive(archive: BinaryIO, name: str, path: str) -> Iterator[BinaryIO]:
    """A file of the layout in an open archive, which errors call `name`."""
    expected = f"{name}: expected an OCI image layout in a tar"
    archive.seek(0)
    with ExitStack() as stack:
        try:
            tar = stack.enter_context(tar_in(archive, "r"))
            member = next((member for member in tar if member.name.removeprefix("./") == path), None)
        except UNREADABLE:
            raise SeedbedError(f"{expected}, found no whole tar") from None
        if member is None or not member.isreg():
            raise SeedbedError(f"{expected}, found no {path} in it")
        yield stack.enter_context(cast(BinaryIO, tar.extractfile(member)))


def tar_in(file: BinaryIO, mode: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode=mode, tarinfo=Member, encoding="utf-8", errors="surrogateescape")


class Member(tarfile.TarInfo):
    """A member of a tar whose names and attributes fit into memory: compressed, gigabytes of them take no room."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type not in KINDS and self.size > reading.LARGEST:
            raise tarfile.ReadError(f"the header of a member has {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]  # tarfile.py: "can be overridden in a subclass"


@contextmanager
def unpacked(blob: BinaryIO, media_type: str) -> Iterator[tarfile.TarFile]:
    with tar_in(decompressed(blob, media_type), "r|") as tar:
        yield tar


def decompressed(blob: BinaryIO, media_type: str) -> BinaryIO:
    if media_type.endswith("zstd"):
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True))
    if media_type.endswith("gzip"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=blob))
    return blob
