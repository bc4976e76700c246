"""Compares two images as a ladder: manifest, config, layers, and in layers that differ the first file that does.

Blobs are streamed: of the largest image no more is held in memory than its JSON and the names in one layer.

Source: OCI image specification 1.1, manifest.md, config.md, layer.md.
"""

import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError
from pydantic_core import from_json

from builder import reading
from builder.catalog.source import first_problem
from builder.console import print_line, print_table
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.oci.store import DIGEST, Digest, Store
from builder.oci.tar import CHUNK

INDEX = "index.json"
DEEPEST = 4
"""Indexes in each other on the way to an image; two are usual."""

UNREADABLE = (
    tarfile.TarError, zstandard.ZstdError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, LookupError,
    ArithmeticError, RecursionError,
)  # fmt: skip
"""What the readers of tars raise for those that are none: they were not written for the hostile."""

MISSING = "missing"
XATTR = "SCHILY.xattr."
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

    def layer_name(self, index: int) -> str:
        """A layer's place, counted from 1, and the step that made it, as the history tells it."""
        steps = [step for step in self.config.get("history") or () if not step.get("empty_layer")]
        step = steps[index].get("created_by") if index < len(steps) else None
        return f"layer {index + 1} ({step})" if step else f"layer {index + 1}"

    @contextmanager
    def layer(self, index: int) -> Iterator[tarfile.TarFile]:
        """A layer's tar, to be read once from front to back."""
        layer = self.manifest["layers"][index]
        with (
            self.source(blob_path(layer["digest"])) as blob,
            tar_in(decompressed(blob, layer["mediaType"]), "r|") as tar,
        ):
            yield tar


@dataclass(frozen=True)
class Difference:
    """Two images differ in `field` of `where`, a document or a file of a layer: `ours` is its value, and `theirs`."""

    where: str
    field: str
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.ours} | {self.theirs}"


@dataclass(frozen=True)
class Comparison:
    """Both images' digests on every rung, and where rungs differ the first difference on each, the deepest rung first:
    a file says more than the config that lists its layer."""

    digests: Mapping[str, tuple[Any, Any]]
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        ours, theirs = self.digests["manifest"]
        return bool(ours == theirs)

    def to_json(self) -> dict[str, Any]:
        found = [asdict(difference) for difference in self.differences]
        return {
            "equal": self.equal,
            "digests": {rung: list(pair) for rung, pair in self.digests.items()},
            "first_difference": found[0] if found else None,
            "differences": found,
        }


def compare(ours: Image, theirs: Image) -> Comparison:
    """Compare two images, reading only the layers whose digests differ. Raises SeedbedError where one is broken."""
    digests = {
        "manifest": (ours.digest, theirs.digest),
        "config": (ours.manifest["config"]["digest"], theirs.manifest["config"]["digest"]),
        "diff_ids": (ours.diff_ids, theirs.diff_ids),
        "layers": (ours.layers, theirs.layers),
    }
    rungs = (layer_difference, config_difference, compression_difference, manifest_difference)
    found = (rung(ours, theirs) for rung in rungs) if ours.digest != theirs.digest else ()
    return Comparison(digests, tuple(difference for difference in found if difference))


def same(image: Image) -> Comparison:
    """An image compared with its equal."""
    return compare(image, image)


def unlike(digest: str, image: Image) -> Comparison:
    """An image compared with one of which the digest alone is known."""
    difference = Difference("manifest", "digest", digest, image.digest)
    return Comparison({"manifest": (digest, image.digest)}, (difference,))


def print_comparison(comparison: Comparison) -> None:
    """The rungs as a table, then what differs, in words."""
    rows = []
    for rung, (ours, theirs) in comparison.digests.items():
        pairs = [(ours, theirs)] if isinstance(ours, str) else list(zip_longest(ours, theirs, fillvalue="none"))
        differing = [pair for pair in pairs if pair[0] != pair[1]]
        rows.append((rung, f"{len(pairs) - len(differing)} of {len(pairs)} the same", *(differing or pairs)[0]))
    print_table(("", "", "first", "second"), rows)
    for difference in comparison.differences:
        print_line(str(difference))


# ---- what documents are like -------------------------------------------------------------------------------------


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


# ---- where images are read from ------------------------------------------------------------------------------------


def open_image(name: str, connect: Callable[[], Engine]) -> Image:
    """The image in the OCI layout or archive at that path, else the one of that name or digest in the engine.

    `connect` is called where an engine is needed. Raises SeedbedError where there is no such image, or where a blob of
    it is not what its digest says.
    """
    if os.path.lexists(path := Path(name)):
        return intact(read_image(name, partial(of_layout if path.is_dir() else of_archive, path)))
    try:
        engine = connect()
    except SeedbedError as error:
        raise SeedbedError(f"{name}: no file or folder here, and no engine to ask for it: {error}") from None
    if not engine.has(name):
        raise SeedbedError(f"{name}: neither a file or folder here nor an image in the engine; build or pull it first")
    return of_engine(name, engine)


def of_store(store: Store, digest: str) -> Image:
    """An image that was built here, by its manifest's digest."""
    index = json.dumps({"manifests": [{"digest": digest}]}).encode()

    def source(path: str) -> AbstractContextManager[BinaryIO]:
        return nullcontext(io.BytesIO(index)) if path == INDEX else of_layout(store.root, path)

    return read_image(digest, source)


def of_engine(name: str, engine: Engine) -> Image:
    """An image in the engine. Its documents are read in one pass, each blob in one more: the API offers no less."""
    documents = engine.documents(name)

    def source(path: str) -> AbstractContextManager[BinaryIO]:
        return nullcontext(io.BytesIO(documents[path])) if path in documents else engine.saved_file(name, path)

    return read_image(name, source)


def read_image(name: str, source: Source) -> Image:
    """Follow the index to the one image for linux/amd64; raises SeedbedError where there are none or several."""
    try:
        document = document_in(source, INDEX, Index)
        for _ in range(DEEPEST):
            choices = {entry["digest"] for entry in document["manifests"] if is_image(entry)}
            if len(choices) != 1:
                raise SeedbedError(f"{name}: expected one image for linux/amd64, found {len(choices)}")
            [digest] = choices
            document = document_in(source, blob_path(digest))
            if "manifests" not in document:
                break
        else:
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
        data = file.read(reading.LARGEST + 1)
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


def blob_path(digest: str) -> str:
    """Raises ValueError for what is no digest, and so could lead to any file."""
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"expected sha256: and 64 hex digits, found {digest!r}")
    return f"blobs/{digest.replace(':', '/')}"


def intact(image: Image) -> Image:
    """The image, once all its blobs are proven: whoever trusts a digest has to know that it is the blob's."""
    sizes = {part["digest"]: part["size"] for part in (image.manifest["config"], *image.manifest["layers"])}
    for digest in (image.digest, *sizes):
        with image.source(blob_path(digest)) as blob:
            size = blob.seek(0, os.SEEK_END)
            if size != sizes.get(digest, size):
                raise SeedbedError(f"{image.name}: damaged: the blob {digest} has {size} bytes, not {sizes[digest]}")
            blob.seek(0)
            found = f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}"
        if found != digest:
            raise SeedbedError(f"{image.name}: damaged: the blob {digest} has the digest {found}")
    return image


def of_layout(folder: Path, path: str) -> BinaryIO:
    if not (folder / path).exists():
        raise SeedbedError(f"{folder}: expected an OCI image layout, found no {path} in it")
    return reading.opened(folder / path)


@contextmanager
def of_archive(archive: Path, path: str) -> Iterator[BinaryIO]:
    expected = f"{archive}: expected an OCI image layout in a tar"
    with ExitStack() as stack:
        try:
            tar = stack.enter_context(tar_in(stack.enter_context(reading.opened(archive)), "r"))
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


def decompressed(blob: BinaryIO, media_type: str) -> BinaryIO:
    if media_type.endswith("zstd"):
        return cast(BinaryIO, zstandard.ZstdDecompressor().stream_reader(blob, read_across_frames=True))
    if media_type.endswith("gzip"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=blob))
    return blob


# ---- the rungs -----------------------------------------------------------------------------------------------------


def layer_difference(ours: Image, theirs: Image) -> Difference | None:
    """The first file that differs, in the first layer that does."""
    for index, (one, other) in enumerate(zip(ours.diff_ids, theirs.diff_ids, strict=False)):
        if one != other:
            where = ours.layer_name(index)
            try:
                with ours.layer(index) as left, theirs.layer(index) as right:
                    found = file_difference(where, left, right)
            except UNREADABLE as error:
                raise SeedbedError(f"{ours.name} and {theirs.name}: {where} cannot be read: {error}") from None
            return found or Difference(where, "headers or padding of the tar", one, other)
    if len(ours.diff_ids) != len(theirs.diff_ids):
        return Difference("config", "number of layers", str(len(ours.diff_ids)), str(len(theirs.diff_ids)))
    return None


def config_difference(ours: Image, theirs: Image) -> Difference | None:
    """The first field, the layers' digests apart."""
    one, other = ({key: value for key, value in image.config.items() if key != "rootfs"} for image in (ours, theirs))
    return document_difference("config", one, other)


def compression_difference(ours: Image, theirs: Image) -> Difference | None:
    """The first layer whose tar is the same in both, and whose compressed bytes are not."""
    for index, (one, other) in enumerate(zip(ours.layers, theirs.layers, strict=False)):
        if one != other and ours.diff_ids[index] == theirs.diff_ids[index]:
            return Difference(ours.layer_name(index), "compressed bytes", one, other)
    return None


def manifest_difference(ours: Image, theirs: Image) -> Difference | None:
    """The first field, the digests of config and layers apart."""
    one, other = (
        {key: value for key, value in image.manifest.items() if key not in ("config", "layers")}
        | {"media types": [entry["mediaType"] for entry in (image.manifest["config"], *image.manifest["layers"])]}
        for image in (ours, theirs)
    )
    return document_difference("manifest", one, other)


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


# ---- files ---------------------------------------------------------------------------------------------------------


def file_difference(where: str, ours: tarfile.TarFile, theirs: tarfile.TarFile) -> Difference | None:
    """The first file of two tars that differs. They are read in step, so neither need be held."""
    left, right = iter(ours), iter(theirs)
    for one, other in zip_longest(left, right):
        if one is None or other is None or path_of(one) != path_of(other):
            return misplaced(where, [file for file in (one, *left) if file], [file for file in (other, *right) if file])
        found = described_difference(one, other)
        if found is None and one.isreg():
            contents = (cast(BinaryIO, tar.extractfile(file)) for tar, file in ((ours, one), (theirs, other)))
            found = content_difference(*contents)
        if found:
            return Difference(f"{where}: {path_of(one)}", *found)
    return None


def path_of(file: tarfile.TarInfo) -> str:
    return "/" + file.name.removeprefix("./").strip("/")


def described_difference(ours: tarfile.TarInfo, theirs: tarfile.TarInfo) -> tuple[str, str, str] | None:
    """The first field in which two files differ, and both values, by what the tar says of them."""
    one, other = described(ours), described(theirs)
    return next(((field, one[field], other[field]) for field in one if one[field] != other[field]), None)


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
