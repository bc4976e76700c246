"""The final image's manifest and config within seconds, and without an engine that holds its layers.

Stage `final` sets metadata only: layers pass through it as they are, and what BuildKit makes of it does not depend on
what is in them. So it gets a tiny layer in the place of each, and their digests are then replaced by the real ones.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from builder import paths, scratch
from builder.catalog.models import Catalog, Image
from builder.engine.client import Digests, Engine
from builder.errors import SeedbedError
from builder.image import assemble, buildx
from builder.image.assemble import Stage
from builder.oci.store import CONFIG_TYPE, MANIFEST_TYPE, Descriptor, Layer, Layout
from builder.oci.tar import file, layer_key, write_layer

SAVED = "image.tar"


@dataclass(frozen=True)
class FinalImage:
    """An image as a registry takes it; the layers lie in the store."""

    manifest: bytes
    config: bytes
    layers: Sequence[Layer]

    @property
    def digest(self) -> str:
        return self.digests.manifest

    @property
    def digests(self) -> Digests:
        documents = ((self.manifest, MANIFEST_TYPE), (self.config, CONFIG_TYPE))
        return Digests(*(Descriptor.of(*document).digest for document in documents))

    @contextmanager
    def layout(self) -> Iterator[Path]:
        """The image as an OCI layout, its layers linked."""
        with scratch.folder(paths.cache()) as folder:
            Layout(folder).write_documents(assemble.store(), self.layers, config=self.config, manifest=self.manifest)
            yield folder


def final_image(catalog: Catalog, image: Image, engine: Engine, made: Mapping[str, Stage]) -> FinalImage:
    """What `final.run` would put into an empty engine, byte for byte. `made` holds the stages `base` and `env`."""
    outlines = {name: outline(stage) for name, stage in made.items()}
    layers = made["env"].layers
    with scratch.folder(paths.cache()) as folder:
        output = f"type=oci,dest={SAVED},oci-mediatypes=true,compression=zstd"
        digests = buildx.run(catalog, image, engine, outlines, folder, output=output)
        manifest, config = blobs_in(folder / SAVED, digests.manifest, digests.config)
    for outlined, layer in zip(outlines["env"].layers, layers, strict=True):
        config = config.replace(outlined.diff_id.encode(), layer.diff_id.encode())
    return FinalImage(with_real_blobs(manifest, config, layers), config, layers)


def outline(stage: Stage) -> Stage:
    return replace(stage, layers=[stand_in(layer) for layer in stage.layers])


def stand_in(layer: Layer) -> Layer:
    """A layer of a few bytes, of which no two are alike."""

    entry = file("stands-in-for", layer.diff_id.encode())
    make = partial(write_layer, assemble.store(), [entry], epoch=0, level=1, what=layer.what)
    return assemble.store().layer(layer_key("stand-in", {"diff_id": layer.diff_id}), make, what=layer.what)


def blobs_in(archive: Path, *digests: str) -> list[bytes]:
    with tarfile.open(archive) as tar:
        members = [tar.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}") for digest in digests]
        return [member.read() for member in members if member]


def with_real_blobs(manifest: bytes, config: bytes, layers: Sequence[Layer]) -> bytes:
    """The manifest with the digests and sizes of these, written as BuildKit writes it."""
    write = partial(json.dumps, indent=2, ensure_ascii=False)
    document = json.loads(manifest)
    if write(document).encode() != manifest:
        raise SeedbedError("this engine's BuildKit writes manifests in a form that is not known: push with docker push")
    descriptors = [Descriptor.of(config, CONFIG_TYPE), *(layer.descriptor for layer in layers)]
    for described, descriptor in zip([document["config"], *document["layers"]], descriptors, strict=True):
        described |= descriptor.to_json()
    return write(document).encode()
