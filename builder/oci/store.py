"""The store of layers: every blob under its digest, and which inputs made which layer.

Source: OCI image specification 1.1, descriptor.md, image-layout.md.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO

from pydantic import NonNegativeInt, StringConstraints, TypeAdapter
from pydantic_core import from_json

from builder import files, reading
from builder.errors import SeedbedError

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+zstd"

DIGEST = re.compile("sha256:[0-9a-f]{64}")
Digest = Annotated[str, StringConstraints(pattern=f"^{DIGEST.pattern}$")]
"""The only kind there is here: other algorithms are allowed by the specification and made by nobody."""


@dataclass(frozen=True)
class Descriptor:
    """What a blob is (`media_type`), its `digest` ("sha256:" and 64 hex digits) and its `size` in bytes."""

    media_type: str
    digest: Digest
    size: NonNegativeInt

    def to_json(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    @classmethod
    def of(cls, data: bytes, media_type: str) -> "Descriptor":
        return cls(media_type, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Descriptor":
        return cls(data["mediaType"], data["digest"], data["size"])


@dataclass(frozen=True)
class Blob:
    """A blob, wherever it is, and how to read it; `title` is the name of the file that it is, if it has one."""

    descriptor: Descriptor
    open: Callable[[], BinaryIO]
    title: str = ""

    @classmethod
    def of(cls, data: bytes, media_type: str, title: str = "") -> "Blob":
        return cls(Descriptor.of(data, media_type), lambda: io.BytesIO(data), title)


@dataclass(frozen=True)
class Layer:
    """A compressed layer: its blob, the digest and bytes of the tar inside, and one line on what it is."""

    descriptor: Descriptor
    diff_id: Digest
    raw_size: NonNegativeInt
    what: str


_NOTE = TypeAdapter(Layer)


@dataclass(frozen=True)
class Store:
    """Blobs by digest (`blobs/sha256/`) and layers by the key of what went into them (`layers/KEY.json`).

    Everything appears by a rename, the note of a layer after its blob, so neither a crash nor a second build
    at the same time leaves anything half-written that is later believed.
    """

    root: Path

    def blob(self, digest: str) -> Path:
        return self.root / blob_path(digest)

    def proven(self, digest: str, what: str = "a layer") -> Path:
        """The blob's file, if it is what its digest says; raises SeedbedError otherwise."""
        path = self.blob(digest)
        files.check_sha256(path, digest.removeprefix("sha256:"), what)
        return path

    def find(self, key: str, *, what: str) -> Layer | None:
        """The layer remembered under `key`, described as `what`; None if its blob or note is gone, or damaged."""
        try:
            note = from_json(reading.data(self._note(key)))
            if note.pop("sha256") != hash_of(note):
                return None
            layer = _NOTE.validate_python(note)
            # ext4 and XFS commit a new file's size after its data: a blob torn by a power cut is too short.
            intact = self.blob(layer.descriptor.digest).stat().st_size == layer.descriptor.size
        except (SeedbedError, OSError, ValueError, TypeError, AttributeError, KeyError):
            return None
        return replace(layer, what=what) if intact else None

    def remember(self, key: str, layer: Layer) -> Layer:
        note = asdict(layer)
        files.write(self._note(key), canonical_json(note | {"sha256": hash_of(note)}))
        return layer

    def layer(self, key: str, make: Callable[[], Layer], *, what: str) -> Layer:
        """The layer remembered under `key`, else the one that `make` makes, remembered from now on."""
        return self.find(key, what=what) or self.remember(key, make())

    def once(self, key: str, check: Callable[[], object]) -> None:
        """Run `check` unless it has passed before under `key`."""
        if not self._note(key).exists():
            check()
            files.write(self._note(key), b"{}")

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Take in a small blob."""
        descriptor = Descriptor.of(data, media_type)
        files.write(self.blob(descriptor.digest), data)
        return descriptor

    @contextmanager
    def new_blob(self) -> Iterator["BlobWriter"]:
        """A file to write a blob into. On `commit()` it enters the store; otherwise it vanishes."""
        with files.new(self.root / "blobs" / "sha256") as file:
            yield BlobWriter(self, file)

    def _note(self, key: str) -> Path:
        return self.root / "layers" / f"{key}.json"


class Hashing:
    """Passes data on to `sink`, and knows the digest of what went through and its `size`: nobody need read it again."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink, self._hash, self.size = sink, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._sink(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class BlobWriter(Hashing):
    """Writes a blob to the disk."""

    def __init__(self, store: Store, file: IO[bytes]) -> None:
        super().__init__(file.write)
        self._store, self._file = store, file

    def commit(self, media_type: str) -> Descriptor:
        self._file.flush()
        Path(self._file.name).replace(self._store.blob(self.digest))
        return Descriptor(media_type, self.digest, self.size)


def canonical_json(data: Any) -> bytes:
    """The one way to write `data`: keys sorted, no white space, UTF-8."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def hash_of(data: Any) -> str:
    """The hex sha256 of `data`, written that way."""
    return hashlib.sha256(canonical_json(data)).hexdigest()


def blob_path(digest: str) -> str:
    """Where a blob is in a store or an OCI layout; raises ValueError for what is no digest, and could lead anywhere."""
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"expected sha256: and 64 hex digits, found {digest!r}")
    return f"blobs/{digest.replace(':', '/')}"
