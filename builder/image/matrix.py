"""The whole catalog for tools that run many jobs: a job matrix for CI, and a file for `docker buildx bake`."""

import os
from typing import Any

from builder import network
from builder.catalog.models import Catalog, Image
from builder.paths import ROOT


def jobs(catalog: Catalog) -> dict[str, Any]:
    """One job for each image, as GitHub's `strategy.matrix` takes it: `fromJSON` of this."""
    images = catalog.select(())
    return {"include": [{"image": image.name, "tag": image.full_tag, "default": image.default} for image in images]}


def bake(catalog: Catalog) -> dict[str, Any]:
    """A target for each image, as `docker buildx bake --file -` reads it from the root of the repository.

    Bake runs every stage, and asks a registry for the first. It gives no tags: those are for images that were tested.
    """
    images = catalog.select(())
    return {
        "group": {"default": {"targets": [image.name for image in images if image.default]}},
        "target": {image.name: target(catalog, image) for image in images},
    }


def target(catalog: Catalog, image: Image) -> dict[str, Any]:
    bundle = network.ca_bundle()
    return {
        "context": ".",
        "dockerfile": os.path.relpath(image.dockerfile_path, ROOT),
        "target": "final",
        "platforms": ["linux/amd64"],
        "args": {"SOURCE_DATE_EPOCH": str(catalog.base_of(image).source_date_epoch)},
        "secret": [f"id=ca-bundle,src={bundle}"] if bundle else [],
    }
