"""What an engine sends as a tar, such as an image: in a file, since it may be larger than the memory."""

import tarfile
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import BinaryIO, cast

from docker.models.images import Image as InEngine

from builder import files, paths
from builder.oci.images import Image, in_archive, read_image


def read(name: str, image: InEngine) -> Image:
    """An image in the engine, which has no call for less than all of it: that takes some seconds a gigabyte.

    The file goes with the last that can read it.
    """
    file = spooled(image.save())

    def source(path: str) -> AbstractContextManager[BinaryIO]:
        return in_archive(file, name, path)

    weakref.finalize(source, file.close)
    return read_image(name, source)


@contextmanager
def archive(chunks: Iterable[bytes]) -> Iterator[tarfile.TarFile]:
    """The tar that the engine sends."""
    with spooled(chunks) as file, tarfile.open(fileobj=file) as tar:
        yield tar


def spooled(chunks: Iterable[bytes]) -> BinaryIO:
    """A file without a name, on the cache's disk, of what the engine sends."""
    folder = paths.cache()
    with files.in_one_line(folder, *files.OF_DISKS), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        file.writelines(chunks)
        file.seek(0)
        stack.pop_all()
    return cast(BinaryIO, file)
