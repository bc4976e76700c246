"""A built image as an OCI layout or archive, for skopeo, podman, crane or `docker load`."""

from pathlib import Path

from builder import files, paths, scratch
from builder.errors import UsageError
from builder.image import assemble
from builder.image.record import Record
from builder.oci.layout import Layout, read_image


def write(built: Record, destination: Path) -> None:
    """Write the image to `destination`: an archive if that ends in `.tar`, else a folder.

    Raises UsageError if there is a folder in which something is, or a file where a folder was asked for, or a folder in
    the place of the archive.
    """
    store = assemble.store()
    image = read_image(store, built.digest)
    if destination.suffix == ".tar":
        if destination.is_dir():
            raise UsageError(f"--output {destination}: expected a file, or none yet, found a folder")
        with scratch.folder(paths.cache()) as folder, files.new(destination.absolute().parent) as archive:
            layout = Layout(folder)
            layout.write(store, image)
            layout.archive(archive)
            Path(archive.name).replace(destination)
        return
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise UsageError(f"--output {destination}: expected an empty folder, or none yet; or a name that ends in .tar")
    with files.in_one_line(destination):
        Layout(destination).write(store, image)
