"""The cache folder as a whole: marked as Seedbed's, held while it is in use, and cleaned of what Seedbed put there."""

import fcntl
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder import files, leases, paths, scratch
from builder.console import size
from builder.engine import client, throwaway
from builder.errors import SeedbedError

log = logging.getLogger(__name__)

MARK = "CACHEDIR.TAG"  # the Cache Directory Tagging Specification; backup programs know it
MARK_TEXT = """\
Signature: 8a477f597d28d172789f06886806bc55
# This folder is Seedbed's cache, and `./build.py clean` deletes what is in it.
"""
UNFIT = re.compile(r'[:;%"\\\x00-\x1f]')
"""To the dynamic linker, apt or mmdebstrap these are punctuation, and they know no quotes."""

REMEDY = "name another folder in SEEDBED_CACHE"
MADE = ("layers", "blobs", "records", scratch.NAME)
FETCHED = ("apt", "packages", "registry", "wheels", "engine", ".engine.lock")
KEPT = (leases.NAME,)  # without them the next run could not tell which containers a killed one has left


@contextmanager
def in_use(how: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Hold the cache so that `clean` keeps off; raises SeedbedError if the folder is somebody else's.

    `how` is flock's: `LOCK_EX | LOCK_NB` has it alone, and raises SeedbedError if somebody else holds it.
    """
    cache = paths.cache()
    claim(cache)
    with (cache / MARK).open() as mark, files.in_one_line(cache, *files.OF_DISKS):
        try:
            fcntl.flock(mark, how)
        except BlockingIOError:
            raise SeedbedError(f"{cache}: in use by another build.py; wait until it has ended") from None
        yield


def clean(everything: bool) -> None:
    """Delete layers and records; with `everything` downloads and the embedded engine's data as well.

    What builds in containers keep in the engine goes with it.

    Raises SeedbedError, and deletes nothing, while a build runs or if the folder is not marked as Seedbed's.
    """
    cache = paths.cache()
    if not cache.exists():
        log.info(f"nothing to clean: there is no {cache}")
        return
    with in_use(fcntl.LOCK_EX | fcntl.LOCK_NB):
        before = shutil.disk_usage(cache).free
        if engine := client.running():
            throwaway.clean(engine, None if everything else MADE)
        if everything:
            client.embedded().destroy()
        for name in (*MADE, *FETCHED) if everything else MADE:
            delete(cache / name)
        log.info(f"freed {size(max(shutil.disk_usage(cache).free - before, 0))}")


def delete(path: Path) -> None:
    """A file or folder, whether it is there or not; of a link, the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def claim(cache: Path) -> None:
    """Mark the folder as Seedbed's, if it is new, or holds nothing that Seedbed does not make."""
    if unfit := UNFIT.search(str(cache)):
        raise SeedbedError(f"{str(cache)!r}: programs that builds need cannot handle {unfit[0]!r} in a path; {REMEDY}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        mark = cache / MARK
        if marked := mark.is_file() and mark.read_text(encoding="utf-8", errors="replace"):
            if "Seedbed" not in marked:
                raise SeedbedError(f"{mark}: made by another program; {REMEDY}")
            return
        # An empty mark is another process's that is about to fill it. Nobody replaces it: it is what holds the lock.
        if foreign := sorted({path.name for path in cache.iterdir()} - {*MADE, *FETCHED, *KEPT, MARK}):
            raise SeedbedError(f"{cache}: holds {foreign[0]}, which Seedbed did not make; {REMEDY}")
        mark.write_text(MARK_TEXT, encoding="utf-8")
    except OSError as error:
        raise SeedbedError(f"{cache}: cannot be the cache: {error.strerror}; {REMEDY}") from error
