"""The mode and the seed of this process, and the streams of numbers derived from them.

A process that was started by hand or by a script has the seed asked for. A child that multiprocessing spawned has one
of its own, derived from its lineage, so that workers differ from one another and not from run to run. A task of a pool
has one too, whichever process or thread of the pool runs it.
"""

import _thread  # loaded in every Python, unlike threading
import os
import sys
from collections.abc import Callable

from seedbed import environment, lineage

mode = environment.mode(os.environ)
root_seed = environment.seed(os.environ)

_streams = {}  # name -> the stream of the process
_libraries = {}  # name -> the Library
_initial = {}  # library -> what the user seeded it with before the first task of a pool's worker
_at_fork = {}
_forks_beside_threads = False


class State:
    """What was counted and seeded: in this process, or in a task of a pool of threads."""

    def __init__(self, inherited: dict[str, str]) -> None:
        self.inherited = inherited  # library -> what the user had seeded it with where this comes from
        self.noted = {}  # library -> what the user has seeded it with here: text, or what computes the text
        self.counts = {}

    def begin(self, inherited: dict[str, str]) -> None:
        """What is forked or has a new task starts anew."""
        self.inherited = inherited
        self.noted.clear()
        self.counts.clear()


of_process = State({})


class Library:
    """A library with a global generator: how to seed it, and where it can be asked, the seed that it has.

    In a child that was forked while another thread was drawing, whoever draws or seeds waits for ever, as without
    Seedbed. `locked` finds that out.
    """

    def __init__(
        self, reseed: Callable[[int], object], current: Callable[[], object], locked: Callable[[], bool]
    ) -> None:
        self.reseed = reseed
        self.current = current
        self.ours = current()
        self.locked = locked
        self.waits_for_ever = False

    def chosen(self) -> object:
        """The seed if it is the user's; None if it is ours."""
        found = self.current()
        return None if found == self.ours else found


class Here:
    """Where the code that runs now stands. What it hands out later, from any thread, counts as handed out here."""

    def __init__(self) -> None:
        self.place = lineage.place()
        self.choices = choices()
        self.counts = _state().counts

    def count(self, kind: str) -> int:
        """How many there were of a kind here, this one included."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]


class Stream:
    """A `random.Random` for one purpose; the process has its own, and so has every task of a pool of threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.restart()

    def restart(self) -> None:
        self.generator = derived(self.name)

    def __getattr__(self, method: str):
        task = lineage.thread.task if in_thread_task() else None
        return getattr(task.generator(self, lambda: derived(self.name)) if task else self.generator, method)


def seed(library: str = "") -> int:
    """The seed of this process, or of the task it is at, 0 to 2**32 - 1."""
    place = lineage.common_place()
    if not place:
        return root_seed
    chosen = _state().inherited.get(library)
    return derived("process" if chosen is None else f"process {chosen}", place).getrandbits(32)


def rank() -> int | None:
    """Which process of a distributed job this is: torch's rank if it has one, else the launcher's; None: no job."""
    group = _group()
    return group.get_rank() if group else environment.rank(os.environ)


def world_size() -> int | None:
    """How many ranks the job has: torch's group of processes if there is one, else as the launcher says."""
    group = _group()
    return group.get_world_size() if group else environment.world_size(os.environ)


def _group():
    """`torch.distributed` if this process has joined a group of processes."""
    distributed = sys.modules.get("torch.distributed")
    joined = distributed is not None and distributed.is_available() and distributed.is_initialized()
    return distributed if joined else None


def stream(name: str) -> Stream:
    """Random numbers for one purpose, the same in every run; they start anew, and differ, in a forked child or task."""
    _streams[name] = Stream(name)
    return _streams[name]


def derived(name: str, place: str | None = None):
    """A `random.Random` for a purpose, here or at another place."""
    from random import Random  # not at the top: importing it is what has it configured, by way of this module

    return Random(text(name, place))


def text(name: str, place: str | None = None) -> str:
    return f"seedbed {root_seed}{lineage.place() if place is None else place} {name}"


def digest(state: str | bytes) -> str:
    """A short text for a generator's state."""
    from random import Random

    return f"state {Random(state).getrandbits(64)}"


def follow(
    library: str,
    reseed: Callable[[int], object],
    current: Callable[[], object] = lambda: None,
    locked: Callable[[], bool] = lambda: False,
) -> None:
    """Have a global generator seeded for every forked child and every task of a pool.

    `current` returns its seed, if it can be asked for it; `locked`, whether a thread that the child lacks holds it.
    """
    _libraries[library] = Library(reseed, current, locked)


def note(library: str, chosen: object) -> None:
    """Remember what the user seeds a global generator with, or the state restored: the tasks of pools follow from it.

    A state is given as a function that computes its text, since most are never needed.
    """
    _state().noted[library] = chosen


def choices() -> dict[str, str]:
    """What the user has seeded each library with, in this process or task, or else where it comes from."""
    return _state().inherited | {library: chosen for library, chosen in chosen_seeds().items() if chosen}


def _chosen_here(library: str) -> str:
    noted = _state().noted
    if callable(noted.get(library)):
        noted[library] = noted[library]()
    found = None if in_thread_task() else _libraries[library].chosen()
    return " ".join(str(chosen) for chosen in (noted.get(library), found) if chosen is not None)


def in_thread_task() -> bool:
    """Whether this thread is at a task of a pool of threads."""
    return lineage.thread is not None and lineage.thread.task is not None


class OutsideThreadTask:
    """While it is entered: what all threads share is seeded for the process, also if a task is what first asks for it.

    A class, since `contextlib` costs every process that imports a library a millisecond.
    """

    def __enter__(self) -> None:
        self.task = lineage.thread.task if in_thread_task() else None
        if self.task:
            lineage.thread.task = None

    def __exit__(self, *_: object) -> None:
        if self.task:
            lineage.thread.task = self.task


def _state() -> State:
    return lineage.thread.task if in_thread_task() else of_process


def begin(task: str, inherited: dict[str, str]) -> None:
    """Seed everything for one task of a process pool; no other task has its name.

    What the user had seeded where the task was submitted, or in the pool's initializer, goes into the seeds.
    """
    if not lineage.task:
        _initial.update((library, chosen) for library in _libraries if (chosen := _chosen_here(library)))
    lineage.task = task
    of_process.begin(merged(inherited, _initial))
    for library in _libraries:
        _reseed(library)
    restart_streams()


def start_over(place: str = "") -> None:
    """Seed everything as at the start, or for a part of the program; what the user has seeded stays as it is.

    So does what was forked with the user's seed.
    """
    lineage.task = place
    for library in _libraries:
        if library not in of_process.inherited and not _chosen_here(library):
            _reseed(library)
    of_process.counts.clear()
    restart_streams()


def chosen_seeds() -> dict[str, str]:
    """What the user last seeded each library with, in this process or task."""
    return {library: _chosen_here(library) for library in _libraries}


def forget_seeds_since(before: dict[str, str]) -> None:
    """Take back what the user has seeded since `chosen_seeds()` said `before`."""
    for library in _libraries:
        if _chosen_here(library) not in ("", before.get(library, "")):
            of_process.noted.pop(library, None)
            _reseed(library)


def _reseed(library: str) -> None:
    entry = _libraries[library]
    if not entry.waits_for_ever:
        entry.reseed(seed(library))
        entry.ours = entry.current()


def merged(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Both, for each library."""
    both = {**first, **second}
    return {name: " ".join(part[name] for part in (first, second) if name in part) for name in both}


def count(kind: str) -> int:
    """How many there were of a kind, this one included, in this process or task."""
    counts = _state().counts
    counts[kind] = counts.get(kind, 0) + 1
    return counts[kind]


def restart_streams() -> None:
    for started in _streams.values():
        started.restart()


def _before_fork() -> None:
    global _at_fork, _forks_beside_threads
    _at_fork = choices()
    _forks_beside_threads = _thread._count() > 0


def _after_fork() -> None:
    """A child counts from one, and what its parent had been seeded with is what it comes from.

    Generators that the user has seeded stay copies of the parent's, as without Seedbed; the others are its own.
    """
    of_process.begin(_at_fork)
    for library, entry in _libraries.items():
        entry.ours = entry.current()
        entry.waits_for_ever |= _forks_beside_threads and entry.locked()
        if library not in _at_fork:
            _reseed(library)
    restart_streams()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
