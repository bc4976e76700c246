"""Layers in a cache: they take most of a build, so whoever needs an empty cache brings those that it does not test."""

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.image import assemble, build
from builder.image.recipe import Recipe
from builder.layers import base
from builder.lock.toolchain import LEVEL
from builder.oci.layout import link_or_copy
from builder.oci.store import Store
from builder.reproduce.verify import Trial

NOTHING, EVERYTHING = r"\b\B", ""
ALL_BUT_THE_BASE = "(?!Debian )"


def base_files(recipe: Recipe, store: Store) -> tuple[Path, ...]:
    """The base's layer and its note; none if the store lacks it."""
    key = base.key_of(recipe.base, recipe.packages, LEVEL)
    layer = store.find(key, what="")
    return (store.blob(layer.descriptor.digest), store.root / "layers" / f"{key}.json") if layer else ()


def layer_files(recipe: Recipe, store: Store, remade: str) -> list[Path]:
    """The layers of the image as it was built, and their notes, but for those that the pattern `remade` matches."""
    built = build.find(recipe)
    assert built, f"{recipe.name} is not built"
    kept = {layer.digest for layer in built.layers if not re.match(remade, layer.what)}
    notes = {path: json.loads(path.read_bytes()) for path in (store.root / "layers").glob("*.json")}
    found = [path for path, note in notes.items() if note.get("descriptor", {}).get("digest") in kept]
    return [*found, *map(store.blob, kept)]


@dataclass(frozen=True)
class SharingTrial(Trial):
    """Rebuilds that make again only the layers that the pattern `remade` matches: the others are other tests' claim."""

    remade: str = NOTHING

    @contextmanager
    def empty_cache(self):
        store = assemble.store()
        with super().empty_cache() as cache:
            for path in layer_files(self.recipe, store, self.remade):
                link_or_copy(path, cache / path.relative_to(store.root))
            yield cache
