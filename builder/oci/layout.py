"""An image made of layers: its config and manifest in canonical JSON, and the folder that holds it all.

The same layers and settings give the same bytes: every date is the epoch given, and no engine formats a byte.

Source: OCI image specification 1.1, image-layout.md, manifest.md, config.md.
"""

import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from builder import files
from builder.errors import SeedbedError
from builder.oci.store import (
    CONFIG_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    Layer,
    Store,
    blob_in,
    canonical_json,
    link_or_copy,
)


@dataclass(frozen=True)
class OciImage:
    """An image: its layers, bottom first, which lie in a store, and its documents."""

    layers: Sequence[Layer]
    config: bytes
    manifest: bytes
    architecture: str = "amd64"

    @property
    def digest(self) -> str:
        return Descriptor.of(self.manifest, MANIFEST_TYPE).digest

    @property
    def digests_of_layers(self) -> list[str]:
        return [layer.descriptor.digest for layer in self.layers]

    @property
    def config_digest(self) -> str:
        return Descriptor.of(self.config, CONFIG_TYPE).digest


def compose(
    layers: Sequence[Layer], container: Mapping[str, Any], *, epoch: int, architecture: str = "amd64"
) -> OciImage:
    """The image made of `layers`, bottom first.

    `container` is its configuration (Env, WorkingDir, User, ...); `epoch` (seconds since 1970) dates the image and
    every entry of its history.
    """
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = canonical_json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": created,
            "config": dict(container),
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": created, "created_by": layer.what} for layer in layers],
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": Descriptor.of(config, CONFIG_TYPE).to_json(),
        "layers": [layer.descriptor.to_json() for layer in layers],
    }
    return OciImage(layers, config, canonical_json(manifest), architecture)


def read_image(store: Store, digest: str) -> OciImage:
    """The image with this manifest; raises SeedbedError if the store lacks a document of it, or it is damaged."""
    try:
        manifest = store.proven(digest, "a manifest").read_bytes()
        described = json.loads(manifest)
        config = store.proven(described["config"]["digest"], "a config").read_bytes()
    except FileNotFoundError as error:
        raise SeedbedError(f"{digest}: {error.filename} is missing; build the image again") from None
    facts = json.loads(config)
    parts = zip(described["layers"], facts["rootfs"]["diff_ids"], facts["history"], strict=True)
    layers = [Layer(Descriptor.from_json(part), diff_id, 0, step["created_by"]) for part, diff_id, step in parts]
    return OciImage(layers, config, manifest, facts["architecture"])


@dataclass(frozen=True)
class Layout:
    """One image as a folder in the OCI image layout. Once `index.json` is there, all that it names is too."""

    root: Path

    def blob(self, digest: str) -> Path:
        return blob_in(self.root, digest)

    def add_blob(self, data: bytes, media_type: str) -> Descriptor:
        descriptor = Descriptor.of(data, media_type)
        files.write(self.blob(descriptor.digest), data)
        return descriptor

    def add_file(self, path: Path, descriptor: Descriptor) -> None:
        """Take in the blob in `path`: as a hard link, or as a copy from another file system."""
        if not path.exists():
            raise SeedbedError(f"{path} is missing; build the image again")
        found = path.stat().st_size
        if found != descriptor.size:
            raise SeedbedError(
                f"expected {descriptor.size} bytes, found {found} in {path}: delete that file and build again"
            )
        link_or_copy(path, self.blob(descriptor.digest))

    def write(self, store: Store, image: OciImage) -> Descriptor:
        """Write the image, its layers linked from the store, and return the descriptor of its manifest.

        `manifest.json` is for Docker's older image store, whose `docker load` knows no OCI layout.
        """
        for layer in image.layers:
            self.add_file(store.blob(layer.descriptor.digest), layer.descriptor)
        self.add_blob(image.config, CONFIG_TYPE)
        descriptor = self.add_blob(image.manifest, MANIFEST_TYPE)
        platform = {"architecture": image.architecture, "os": "linux"}
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX_TYPE,
            "manifests": [descriptor.to_json() | {"platform": platform}],
        }
        paths = [blob_in(Path(), digest).as_posix() for digest in (image.config_digest, *image.digests_of_layers)]
        docker = [{"Config": paths[0], "RepoTags": None, "Layers": paths[1:]}]
        files.write(self.root / "manifest.json", canonical_json(docker))
        files.write(self.root / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
        files.write(self.root / "index.json", canonical_json(index))
        return descriptor

    def archive(self, file: IO[bytes]) -> None:
        """Write the folder to `file` as an OCI archive: a tar, the same bytes for the same image."""
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in sorted(path for path in self.root.rglob("*") if path.is_file()):
                member = tarfile.TarInfo(path.relative_to(self.root).as_posix())
                member.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(member, content)

    def descriptor(self) -> Descriptor:
        """The manifest's descriptor. Raises SeedbedError where the folder holds no image or more than one."""
        try:
            manifests = json.loads((self.root / "index.json").read_bytes())["manifests"]
        except FileNotFoundError:
            raise SeedbedError(f"expected an OCI image layout, found no index.json in {self.root}") from None
        if len(manifests) != 1:
            raise SeedbedError(f"expected one image, found {len(manifests)} in {self.root / 'index.json'}")
        return Descriptor.from_json(manifests[0])

    def manifest(self) -> dict[str, Any]:
        return self._json(self.descriptor().digest)

    def config(self) -> dict[str, Any]:
        return self._json(self.manifest()["config"]["digest"])

    def _json(self, digest: str) -> dict[str, Any]:
        return json.loads(self.blob(digest).read_bytes())
