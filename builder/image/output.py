"""A built image as an OCI layout or archive, for skopeo, podman, crane or `docker load`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder import files, paths, scratch
from builder.errors import UsageError
from builder.image import assemble
from builder.image.record import Record
from builder.oci.layout import read_image, write_archive, write_layout


def write(built: Record, destination: Path) -> None:
    """Write the image to `destination`, as `layout` does."""
    with layout(destination) as folder:
        store = assemble.store()
        write_layout(folder, store, read_image(store, built.digest))


@contextmanager
def layout(destination: Path) -> Iterator[Path]:
    """An empty folder for an OCI layout, which at the end is at `destination`: as an archive if that ends in `.tar`.

    Raises UsageError if there is a folder in which something is, or a file where a folder was asked for, or a folder in
    the place of the archive.
    """
    archive = destination.suffix == ".tar"
    if archive and destination.is_dir():
        raise UsageError(f"--output {destination}: expected a file, or none yet, found a folder")
    if not archive and destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UsageError(f"--output {destination}: expected an empty folder, or none yet; or a name that ends in .tar")
    with scratch.folder(paths.cache()) as folder, files.in_one_line(destination):
        yield folder
        if archive:
            with files.replacing(destination.absolute()) as file:
                write_archive(folder, file)
        else:  # a copy: who edits it must not edit the store
            shutil.copytree(folder, destination, dirs_exist_ok=True)
