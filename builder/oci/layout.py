"""An image made of layers: its config and manifest in canonical JSON, and the folder that holds it all.

The same layers and settings give the same bytes: every date is the epoch given, and no engine formats a byte.

Source: OCI image specification 1.1, image-layout.md, manifest.md, config.md.
"""

import json
import os
import shutil
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
    blob_path,
    canonical_json,
)

PLATFORM = {"architecture": "amd64", "os": "linux"}


@dataclass(frozen=True)
class OciImage:
    """An image: its layers, bottom first, which lie in a store, and its documents."""

    layers: Sequence[Layer]
    config: bytes
    manifest: bytes

    @property
    def descriptor(self) -> Descriptor:
        """What names it: that of its manifest."""
        return Descriptor.of(self.manifest, MANIFEST_TYPE)

    @property
    def digest(self) -> str:
        return self.descriptor.digest

    @property
    def config_digest(self) -> str:
        return Descriptor.of(self.config, CONFIG_TYPE).digest


def compose(layers: Sequence[Layer], container: Mapping[str, Any], *, epoch: int) -> OciImage:
    """The image made of `layers`, bottom first.

    `container` is its configuration (Env, WorkingDir, User, ...); `epoch` (seconds since 1970) dates the image and
    every entry of its history.
    """
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = canonical_json(
        {
            **PLATFORM,
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
    return OciImage(layers, config, canonical_json(manifest))


def keep(store: Store, image: OciImage) -> Descriptor:
    """Take the image's documents into a store, which has or gets its layers; returns what names it."""
    store.add(image.config, CONFIG_TYPE)
    return store.add(image.manifest, MANIFEST_TYPE)


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
    return OciImage(layers, config, manifest)


def write_layout(folder: Path, store: Store, image: OciImage) -> None:
    """Write the image as an OCI layout, its layers linked from the store. Once `index.json` is there, all it names is.

    `manifest.json` is for Docker's older image store, whose `docker load` knows no OCI layout.
    """
    layout = Store(folder)  # both keep blobs under the same names
    for layer in image.layers:
        take(layout, store.blob(layer.descriptor.digest), layer.descriptor)
    manifest = keep(layout, image).to_json() | {"platform": PLATFORM}
    layers = [blob_path(layer.descriptor.digest) for layer in image.layers]
    docker = [{"Config": blob_path(image.config_digest), "RepoTags": None, "Layers": layers}]
    files.write(folder / "manifest.json", canonical_json(docker))
    finish(folder, manifest)


def finish(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Make the folder, whose blobs are there, an OCI layout of the one manifest that is so described."""
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [dict(manifest)]}
    files.write(folder / "oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
    files.write(folder / "index.json", canonical_json(index))


def take(layout: Store, blob: Path, descriptor: Descriptor) -> None:
    """Take in the blob of another store: as a hard link, or as a copy from another file system."""
    if not blob.exists():
        raise SeedbedError(f"{blob} is missing; build the image again")
    if (found := blob.stat().st_size) != descriptor.size:
        raise SeedbedError(
            f"expected {descriptor.size} bytes, found {found} in {blob}: delete that file and build again"
        )
    link_or_copy(blob, layout.blob(descriptor.digest))


def link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return  # its name is its digest
    except OSError:
        with source.open("rb") as blob, files.replacing(target) as file:
            shutil.copyfileobj(blob, file)


def write_archive(layout: Path, file: IO[bytes]) -> None:
    """Write an OCI layout to `file` as an OCI archive: a tar, the same bytes for the same image."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(path for path in layout.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(path.relative_to(layout).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(member, content)
