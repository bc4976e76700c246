"""Files about an image, such as its SBOM: manifests of their own, whose `subject` is the image's.

Source: OCI image specification 1.1, manifest.md; OCI distribution specification 1.1, "Referrers Tag Schema".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from builder.errors import SeedbedError
from builder.oci.images import Part
from builder.oci.store import INDEX_TYPE, MANIFEST_TYPE, Blob, Descriptor, canonical_json

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = Blob.of(b"{}", EMPTY_TYPE)
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True)
class Artifact:
    """Files about the image whose manifest is `subject`; `media_type` says what they are.

    The same files give the same manifest. Without a subject they can be kept as a file, and attached to no image.
    """

    media_type: str
    subject: Descriptor | None
    layers: tuple[Blob, ...]

    def manifest(self) -> bytes:
        layers = [
            layer.descriptor.to_json() | ({"annotations": {TITLE: layer.title}} if layer.title else {})
            for layer in self.layers
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": self.media_type,
            "config": EMPTY.descriptor.to_json(),
            "layers": layers,
        }
        return canonical_json(document | ({"subject": self.subject.to_json()} if self.subject else {}))

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (EMPTY, *self.layers)

    def entry(self) -> dict[str, Any]:
        """How an index lists it."""
        return Descriptor.of(self.manifest(), MANIFEST_TYPE).to_json() | {"artifactType": self.media_type}


class Entry(Part):
    model_config = ConfigDict(extra="allow")

    artifactType: str = ""


class Index(BaseModel):
    """An image index that lists what refers to an image; what else it says stays as it is."""

    model_config = ConfigDict(extra="allow")

    manifests: list[Entry]

    def of_type(self, media_type: str) -> list[str]:
        """The digests of the manifests of this type."""
        return [entry.digest for entry in self.manifests if entry.artifactType == media_type]


def tag_of(digest: str) -> str:
    """The tag of the index of what refers to an image, in a registry without the referrers API."""
    return digest.replace(":", "-")


def read_index(where: str, data: bytes) -> Index:
    """Raises SeedbedError if it is no index."""
    try:
        return Index.model_validate_json(data)
    except ValidationError as error:
        raise SeedbedError(
            f"{where}: expected an image index of referrers, found none: {error.errors()[0]['msg']}"
        ) from None


def with_entry(index: Index | None, entry: Mapping[str, Any]) -> bytes | None:
    """The index with that entry too, in one order whoever came first; None if it has it."""
    document = index.model_dump(exclude_unset=True) if index else {"schemaVersion": 2, "mediaType": INDEX_TYPE}
    known: list[dict[str, Any]] = document.get("manifests", [])
    if any(each["digest"] == entry["digest"] for each in known):
        return None
    ordered = sorted([*known, entry], key=lambda each: (each.get("artifactType", ""), each["digest"]))
    return canonical_json(document | {"manifests": ordered})
