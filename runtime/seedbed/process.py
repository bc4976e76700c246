"""The mode and the seed of this process, and the streams of numbers derived from them.

A process that was started by hand or by a script has the seed asked for. A child that multiprocessing spawned has one
of its own, derived from its lineage, so that workers differ from one another and not from run to run. A task that a
process pool runs has one too, whichever worker runs it.
"""

import os

from seedbed import boot, environment

mode = environment.mode(os.environ)
root_seed = environment.seed(os.environ)

_streams = []  # what starts each of them anew
_generators = {}  # library -> what seeds its global generator; what the user last seeded that with, None: nothing
_chosen = {}  # library -> what the user had seeded it with before the first task of a pool
_ours = {}  # library -> the seed it was last given by `start_over`
_counts = {}


def seed(library: str = "") -> int:
    """The seed of this process, or of the task it is at, 0 to 2**32 - 1."""
    if not boot.place():
        return root_seed
    chosen = _chosen.get(library)
    return derived("process" if chosen is None else f"process {chosen}").getrandbits(32)


def stream(name: str):
    """A `random.Random` for one purpose, the same in every run; it starts anew, and differently, in a forked child."""
    generator = derived(name)
    _streams.append(lambda: generator.seed(text(name)))
    return generator


def derived(name: str):
    from random import Random  # not at the top: importing it is what has it configured, by way of this module

    return Random(text(name))


def text(name: str) -> str:
    return f"seedbed {root_seed}{boot.place()} {name}"


def follow(library: str, reseed, chosen) -> None:
    """Have a global generator seeded for every task of a pool. `chosen` tells what the user last seeded it with."""
    _generators[library] = reseed, chosen


def begin(task: str) -> None:
    """Seed everything for one task of a process pool; no other task has its name.

    What the user seeded in this worker, or in its parent before the fork, goes into the seeds.
    """
    if not boot.task:
        _chosen.update((library, chosen()) for library, (_, chosen) in _generators.items())
    boot.task = task
    _counts.clear()
    for library, (reseed, _) in _generators.items():
        reseed(seed(library))
    restart_streams()


def start_over(place: str = "") -> None:
    """Seed everything as at the start, or for a part of the program; what the user has seeded stays as it is."""
    boot.task = place
    for library, (reseed, _) in _generators.items():
        if not seeded_by_user(library):
            reseed_as_ours(library, reseed)
    _counts.clear()
    restart_streams()


def chosen_seeds() -> dict[str, str]:
    """What the user last seeded each library with."""
    return {library: repr(chosen()) for library, (_, chosen) in _generators.items()}


def forget_seeds_since(before: dict[str, str]) -> None:
    """Take back what the user has seeded since `chosen_seeds()` said `before`."""
    for library, (reseed, chosen) in _generators.items():
        if repr(chosen()) != before.get(library, "None") and seeded_by_user(library):
            reseed_as_ours(library, reseed)


def seeded_by_user(library: str) -> bool:
    chosen = _generators[library][1]()
    return chosen is not None and not (library in _ours and type(chosen) is int and chosen == _ours[library])


def reseed_as_ours(library: str, reseed) -> None:
    _ours[library] = seed(library)
    reseed(_ours[library])


def count(kind: str) -> int:
    """How many there were of a kind, this one included, in this process or task."""
    _counts[kind] = _counts.get(kind, 0) + 1
    return _counts[kind]


def restart_streams() -> None:
    for restart in _streams:
        restart()


os.register_at_fork(after_in_child=_counts.clear)
os.register_at_fork(after_in_child=restart_streams)
