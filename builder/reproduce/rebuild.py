"""`python -m builder.reproduce.rebuild CATALOG IMAGE cold|warm` builds once, and prints its record or why it has none.

`verify` starts it with a store of its own, and where the builds are to differ in what machines differ in. Of that, all
but this module's part comes from outside: the folder it runs in, its variables, its umask, its CPUs.
"""

import os
import random
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from builder.oci import tar
from builder.reproduce.variations import SHUFFLED


class Listing(Iterator[os.DirEntry[str]]):
    """What `os.scandir` returns, with the entries in another order."""

    def __init__(self, entries: Iterable[os.DirEntry[str]]) -> None:
        self._entries = iter(shuffled(entries, key=lambda entry: entry.name))

    def __next__(self) -> os.DirEntry[str]:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """All entries were read at once: nothing is open."""


def shuffled(items: Iterable[Any], key: Callable[[Any], Any] | None = None) -> list[Any]:
    ordered = sorted(items, key=key)
    random.Random(len(ordered)).shuffle(ordered)
    return ordered


def shuffle_inputs() -> None:
    """Hand out in another order what has none: the entries of a folder, and what is to go into a layer."""
    listdir, scandir, write_layer = os.listdir, os.scandir, tar.write_layer
    os.listdir = lambda *where: shuffled(listdir(*where))
    os.scandir = lambda *where: Listing(scandir(*where))  # type: ignore[assignment]
    tar.write_layer = lambda store, entries, **settings: write_layer(store, shuffled_entries(entries), **settings)


def shuffled_entries(entries: Iterable[tar.Entry]) -> list[tar.Entry]:
    """In another order, but links behind what they link to: so a layer that nobody sorts can still be unpacked."""
    shuffled_all = shuffled(entries, key=lambda entry: entry.path)
    return sorted(shuffled_all, key=lambda entry: entry.kind == tarfile.LNKTYPE)


# Here and not in main(): the processes that write layers import this module anew, and all that comes after has to find
# these functions already replaced.
if SHUFFLED in os.environ:
    shuffle_inputs()

from builder import console, interrupts  # noqa: E402
from builder.catalog import models  # noqa: E402
from builder.debian import bootstrap  # noqa: E402
from builder.engine import client  # noqa: E402
from builder.errors import SeedbedError  # noqa: E402
from builder.image import build  # noqa: E402
from builder.image.recipe import resolve  # noqa: E402
from builder.layers import bytecode  # noqa: E402


def main(root: str, name: str, caches: str) -> None:
    if "FAKETIME" in os.environ:
        pass_clock_on(os.environ["LD_PRELOAD"], os.environ["FAKETIME"])
    console.show_log()
    loaded = models.load(Path(root))
    recipe = resolve(loaded, loaded.image(name))
    options = build.Options(locked=True, cached=caches == "warm")
    print(build.build(recipe, options, client.connect).model_dump_json())


def pass_clock_on(library: str, offset: str) -> None:
    """Give processes that start with clean variables the clock that libfaketime gives the others."""
    clock = {"LD_PRELOAD": library, "FAKETIME": offset}
    bytecode.ENVIRONMENT = {**bytecode.ENVIRONMENT, **clock}
    # In the chroot of the base's installation the library is found by the root of the first process, which is ours.
    clock["LD_PRELOAD"] += f":/proc/1/root{library}"
    bootstrap.ENVIRONMENT = {**bootstrap.ENVIRONMENT, **clock}


if __name__ == "__main__":
    interrupts.handle()
    try:
        main(*sys.argv[1:])
    except SeedbedError as error:
        print(error)
        sys.exit(error.exit_status)
