"""Locked wheels in, layers out.

A layer is a function of what goes into it, so each is kept in the store under the hash of its inputs and found
again without any work. Layers do not depend on each other: images that share a group of wheels share its layer.
"""

import multiprocessing
import os
import posixpath
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain

from builder import files, interrupts
from builder.errors import SeedbedError
from builder.layers.install import InstalledFile, Target, Wheel, installed_files
from builder.oci.store import Layer, Store
from builder.oci.tar import Entry, layer_key, write_layer
from builder.text import matches


@dataclass(frozen=True)
class Part:
    """What one layer holds: of all that `wheels` install, what matches a pattern of `only` and none of `without`.

    Patterns match paths below site-packages; `*` matches slashes too.
    """

    wheels: Sequence[Wheel]
    only: tuple[str, ...] = ("*",)
    without: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of its wheels."""
        return sum(wheel.path.stat().st_size for wheel in self.wheels)

    def holds(self, path: str) -> bool:
        return matches(path, self.only) and not matches(path, self.without)


def wheel_layers(
    parts: Mapping[str, Part],
    target: Target,
    *,
    store: Store,
    epoch: int,
    level: int,
    made: Callable[[Layer], object] = lambda layer: None,
) -> list[Layer]:
    """One layer for each part, in the order given; the keys of `parts` say what each is.

    Layers the store lacks are made by one process for each CPU, the largest first; `made` is told of each layer as soon
    as it is there. Raises SeedbedError as `wheel_layer` does, and where wheels of two parts would write different files
    to one path.
    """
    everything = Part(list({wheel for part in parts.values() for wheel in part.wheels}))
    store.once(key_of("together", everything, target), partial(together, everything.wheels, target))
    found = {what: store.find(key_of("wheels", part, target, epoch, level), what=what) for what, part in parts.items()}
    missing = sorted((what for what in parts if not found[what]), key=lambda what: parts[what].size, reverse=True)
    make = partial(wheel_layer, target=target, store=store, epoch=epoch, level=level)
    tasks = [partial(make, parts[what], what=what) for what in missing]
    for layer in filter(None, chain(found.values(), in_parallel(tasks, cpus()))):
        found[layer.what] = layer
        made(layer)
    return [layer for layer in found.values() if layer]


def wheel_layer(part: Part, target: Target, *, store: Store, what: str, epoch: int, level: int) -> Layer:
    """What `part` holds of its wheels, installed into the virtual environment `target`, as one layer.

    The files are those an installer would write, bytecode apart; `epoch` (seconds since 1970) dates them, `level` is
    zstd's. Raises SeedbedError, naming wheel and file, where a wheel is malformed or not the one that was locked,
    where a file is not as its RECORD says, where two wheels would write different files to one path, and where the
    part holds no file at all.
    """

    def make() -> Layer:
        for wheel in part.wheels:
            refuse_altered(wheel)
        return write_layer(store, entries_of(part, target), epoch=epoch, level=level, what=what)

    return store.layer(key_of("wheels", part, target, epoch, level), make, what=what)


def cpus() -> int:
    """The CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def entries_of(part: Part, target: Target) -> list[Entry]:
    modules = target.folder("purelib", "")
    entries = together(part.wheels, target)
    held = [entry for entry in entries if part.holds(posixpath.relpath(f"/{entry.path}", modules))]
    if not held:
        raise SeedbedError(
            f"expected files that match {', '.join(part.only)} in {', '.join(map(str, part.wheels))}, found none: "
            "correct `split` in image.yaml"
        )
    return held


def together(wheels: Iterable[Wheel], target: Target) -> list[Entry]:
    """What all of `wheels` install; files that several bring alike are there once."""
    files: dict[str, InstalledFile] = {}
    for wheel in sorted(wheels, key=str):
        for file in installed_files(wheel, target):
            other = files.setdefault(file.entry.path, file)
            if not file.same_as(other):
                raise SeedbedError(
                    f"expected one content for /{file.entry.path}, found two, in {other.wheel} and {wheel}: "
                    "lock versions of them that can be installed together"
                )
    return [file.entry for file in files.values()]


def refuse_altered(wheel: Wheel) -> None:
    files.check_sha256(wheel.path, wheel.sha256, str(wheel))


def key_of(kind: str, part: Part, target: Target, *settings: int) -> str:
    inputs = {
        "wheels": sorted((wheel.name, wheel.version, wheel.sha256) for wheel in part.wheels),
        "files": [part.only, part.without],
        "target": [target.prefix, target.python],
        "settings": settings,
        "installer": version("installer"),
    }
    return layer_key(kind, inputs)


def in_parallel(tasks: Sequence[Callable[[], Layer]], processes: int) -> Iterator[Layer]:
    """Start `tasks`, in this order, in up to `processes` processes; yields what they return, the first done first."""
    if min(len(tasks), processes) < 2:
        yield from (task() for task in tasks)
        return
    # Not by fork: the caller runs threads, whose locks a forked child would inherit.
    spawn = multiprocessing.get_context("spawn")
    sys.warnoptions.append("ignore:resource_tracker")  # it would tell whoever interrupts a build of semaphores
    with ProcessPoolExecutor(min(len(tasks), processes), spawn, end_with_parent) as pool:
        try:
            with interrupts.later():  # a worker that is half started would end with a traceback
                submitted = [pool.submit(task) for task in tasks]
            for done in as_completed(submitted):
                yield done.result()
        except BrokenProcessPool:
            raise SeedbedError(
                "a process that wrote a layer was killed: see whether memory is short, and run again"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """In a worker: if its parent was killed, it would wait for a next task for ever."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
