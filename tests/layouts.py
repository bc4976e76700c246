"""Images as OCI layouts, written file by file for tests."""

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zstandard

from builder.oci.store import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Descriptor, Layer, Store, canonical_json

EPOCH = 1_700_000_000
File = tuple[tarfile.TarInfo, bytes]
Change = Callable[[dict[str, Any]], dict[str, Any]]


def file(path: str, data: bytes = b"", **fields: Any) -> File:
    made = tarfile.TarInfo(path)
    made.size, made.mtime = len(data), EPOCH
    for field, value in fields.items():
        setattr(made, field, value)
    return made, data


def tar_of(files: Sequence[File], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member, data in files:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def layer(store: Store, data: bytes = b"layer", what: str = "a layer") -> Layer:
    """A layer in a store, of any bytes."""
    tar = b"tar of " + data
    return Layer(store.add(data, LAYER_TYPE), Descriptor.of(tar, "").digest, len(tar), what)


def zstd(data: bytes, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


BASE = [file("etc/hostname", b"box\n"), file("usr/bin/python", b"ELF" * 1000, mode=0o755)]
TOP = [file("opt/a", b"a"), file("opt/b", b"0123456789"), file("opt/c", b"c")]


class Layouts:
    """Writes images below a folder, each as a layout of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0

    def __call__(
        self,
        *layers: Sequence[File] | bytes,
        config: dict[str, Any] | None = None,
        form: int = tarfile.PAX_FORMAT,
        compressed: Callable[[bytes], bytes] = zstd,
        media_type: str = LAYER_TYPE,
        entries: Callable[[dict[str, Any]], list[dict[str, Any]]] = lambda entry: [entry],
        manifest: Change = lambda document: document,
        described: Change = lambda document: document,
    ) -> Path:
        """Write an image; returns its folder."""
        layout = Store(self.folder / f"image-{self.written}")
        self.written += 1
        tars = [layer if isinstance(layer, bytes) else tar_of(layer, form) for layer in layers or (BASE, TOP)]
        content = {
            "architecture": "amd64",
            "config": {"Env": ["A=1", "B=2"], "Labels": {"io.seedbed.lock": "one"}} | (config or {}),
            "rootfs": {"diff_ids": [layout.add(tar, "").digest for tar in tars]},
            "history": [{"created_by": f"step {at}"} for at in range(len(tars))],
        }
        listed = {
            "mediaType": MANIFEST_TYPE,
            "config": layout.add(canonical_json(described(content)), CONFIG_TYPE).to_json(),
            "layers": [layout.add(compressed(tar), media_type).to_json() for tar in tars],
        }
        entry = layout.add(canonical_json(manifest(listed)), MANIFEST_TYPE).to_json()
        (layout.root / "index.json").write_bytes(canonical_json({"manifests": entries(entry)}))
        return layout.root
