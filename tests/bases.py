"""The base's layer in a cache: to make it takes most of a build, so whoever needs an empty cache brings it."""

from pathlib import Path

from builder.catalog.models import Catalog, Image
from builder.lock import packages
from builder.lock.toolchain import LEVEL
from builder.oci.store import Store


def base_files(catalog: Catalog, image: Image, store: Store) -> tuple[Path, ...]:
    """The layer and its note; none where the store lacks it."""
    model = catalog.base_of(image)
    key = packages.key_of(model, packages.read(model), LEVEL)
    layer = store.find(key, what="")
    return (store.blob(layer.descriptor.digest), store.root / "layers" / f"{key}.json") if layer else ()
