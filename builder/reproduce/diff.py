"""Compares two images as a ladder: manifest, config, layers, and in layers that differ the first file that does.

Source: OCI image specification 1.1, manifest.md, config.md, layer.md.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from builder.console import print_line, print_table
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.oci.images import UNREADABLE, Image, intact, of_archive, of_layout, read_image
from builder.oci.store import Store
from builder.reproduce import changes, inventory
from builder.reproduce.changes import Changelog
from builder.reproduce.difference import Difference, document_difference, file_difference


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


def changelog(ours: Image, theirs: Image) -> Changelog:
    """What changed from ours to theirs; each layer is read once. Raises SeedbedError where one is broken."""
    known: inventory.Layers = {}
    before, after = inventory.of_image(ours, known), inventory.of_image(theirs, known)
    return changes.changelog(ours.name, before, theirs.name, after)


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
    return engine.read(name)


def of_store(store: Store, digest: str) -> Image:
    """An image that was built here, by its manifest's digest."""
    return read_image(digest, partial(of_layout, store.root), digest)


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
