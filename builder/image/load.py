"""Loading a built image into an engine: it pulls what it lacks from the store, or takes it all by `docker load`."""

from builder import paths, scratch
from builder.console import step
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.image import assemble
from builder.image.record import Record
from builder.oci.layout import Layout, read_image
from builder.oci.serve import serving

UNTESTED = "untested"
"""The repository, on loopback, that an image without a tag seems to come from."""


def load(built: Record, engine: Engine) -> str:
    """See to it that the engine has the image; returns what it knows it by.

    Raises SeedbedError if the store lacks a blob of it, or the engine takes it in neither way.
    """
    if found := engine.find(built.digest, built.config):
        return found
    store = assemble.store()
    with step(f"{built.image}: loading into Docker"), serving(store) as address:
        if engine.try_pull(f"{address}/{UNTESTED}/{built.image}@{built.digest}"):  # it cannot reach our loopback
            with scratch.folder(paths.cache()) as folder:
                Layout(folder).write(store, read_image(store, built.digest))
                engine.load(folder)
    if found := engine.find(built.digest, built.config):
        return found
    raise SeedbedError(f"{built.image}: the engine has loaded another image than {built.digest}: report this as a bug")


def forget_source(built: Record, engine: Engine) -> None:
    """Take away the name under which the image was pulled, once it has another."""
    for name in engine.names(built.digest, built.config):
        if name.startswith("127.0.0.1:") and f"/{UNTESTED}/{built.image}@" in name:
            engine.remove(name)
