"""Loading a built image into an engine: it pulls what it lacks from the store, or takes it all by `docker load`."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

from builder import paths, scratch
from builder.console import step
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.image import assemble
from builder.image.record import Record
from builder.oci.layout import compose, keep, link_or_copy, read_image, write_layout
from builder.oci.serve import serving
from builder.oci.store import Layer, Store

UNTESTED = "untested"
"""The repository, on loopback, that an image without a tag seems to come from."""

PARTS = "parts"
"""The repository, on loopback, of images that are the lower layers of one that is not finished."""

PAUSE = 1.0
"""Seconds between looks for new layers; a build that takes less is loaded as a whole."""


class Loader:
    """Loads one image, and starts while it is built: its lowest layers are an image too, as far as they are there.

    What the engine unpacks of those it need not unpack again.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self._name, self._engine = name, engine
        self._layers: Sequence[Layer] = ()
        self._built = threading.Event()
        self._worker = threading.Thread(target=self._load_parts, daemon=True)

    def grown(self, layers: Sequence[Layer]) -> None:
        """Hear which layers there are so far, bottom first."""
        self._layers = layers

    def load(self, built: Record) -> str:
        """See to it that the engine has the finished image; returns what it knows it by. Raises as `load` does."""
        self._built.set()
        self._worker.join()
        known_as = load(built, self._engine)
        self._engine.forget(f"/{PARTS}/{self._name}@")
        return known_as

    @contextmanager
    def at_work(self) -> Iterator["Loader"]:
        """Load what is there while the block builds."""
        self._worker.start()
        try:
            yield self
        finally:
            self._built.set()

    def _load_parts(self) -> None:
        loaded, store = 0, assemble.store()
        with (
            suppress(SeedbedError, OSError),  # `load` will say it
            scratch.folder(paths.cache()) as folder,
            serving(parts := Store(folder)) as address,
        ):
            while not self._built.wait(PAUSE):
                layers = self._layers
                if len(layers) == loaded:
                    continue
                part = compose(layers, {}, epoch=0)
                keep(parts, part)
                for layer in layers:
                    link_or_copy(store.blob(layer.descriptor.digest), parts.blob(layer.descriptor.digest))
                if self._engine.try_pull(f"{address}/{PARTS}/{self._name}@{part.digest}"):
                    return  # the engine cannot reach our loopback: `load` does without
                loaded = len(layers)


def load(
    built: Record,
    engine: Engine,
    served: AbstractContextManager[str] | None = None,
    bring: Callable[[Record], None] = lambda _: None,
) -> str:
    """See to it that the engine has the image; returns what it knows it by.

    `served` serves it to the engine, from this host's store if left out; `bring` brings it into that store, from where
    it is loaded if the engine cannot pull it.
    Raises SeedbedError if the engine takes it in neither way.
    """
    if found := engine.find(built.digest, built.config):
        return found
    with step(f"{built.image}: loading into Docker"), served or serving(assemble.store()) as address:
        if engine.try_pull(f"{address}/{UNTESTED}/{built.image}@{built.digest}"):  # it cannot reach our loopback
            bring(built)
            store = assemble.store()
            with scratch.folder(paths.cache()) as folder:
                write_layout(folder, store, read_image(store, built.digest))
                engine.load(folder)
    if found := engine.find(built.digest, built.config):
        return found
    raise SeedbedError(f"{built.image}: the engine has loaded another image than {built.digest}: report this as a bug")
