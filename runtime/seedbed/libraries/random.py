"""Python's `random`: the global generator, generators made without a seed, and forked children.

CPython reseeds the global generator of every forked child from the operating system's entropy. Ours is registered
later and so runs after it; it starts from the parent's state, so that a seed the user has set reaches the children.
"""

import os
from collections.abc import Callable
from types import ModuleType

from seedbed import boot, process


def configure(random: ModuleType) -> None:
    reseed = random._inst.seed  # as Python has it
    reseed(process.seed("random"))
    derive_missing_seeds(random)
    process.follow("random", reseed)
    reseed_forked_children(random, reseed)


def derive_missing_seeds(random: ModuleType) -> None:
    """`Random()` and `seed()` without a seed take the next number of a stream; SystemRandom has a `seed` of its own.

    What the user gives to the global generator is noted.
    """
    with_seed, restore = random.Random.seed, random.Random.setstate
    missing = process.stream("random.Random")

    def seed(self, a=None, version=2):
        if self is random._inst:
            process.note("random", a)
        with_seed(self, missing.getrandbits(128) if a is None else a, version)

    def setstate(self, state):
        if self is random._inst:
            process.note("random", lambda: process.digest(repr(state)))
        restore(self, state)

    seed.__doc__, setstate.__doc__ = with_seed.__doc__, restore.__doc__
    random.Random.seed, random.Random.setstate = seed, setstate
    random.seed, random.setstate = random._inst.seed, random._inst.setstate


def reseed_forked_children(random: ModuleType, reseed: Callable[[str], None]) -> None:
    """A child's global generator follows from its parent's state and from which fork it is."""
    parent = 0

    def remember() -> None:
        nonlocal parent
        parent = hash(random.getstate()[1])

    os.register_at_fork(before=remember, after_in_child=lambda: reseed(f"{parent} {boot.lineage}"))


def state(random: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words. The seed cannot be read back: it is as old as the import."""
    derived = random.Random.seed.__module__ == __name__
    return {
        "random.seed": str(process.seed()) if derived else "random",
        "random.Random()": "derived from the seed" if derived else "random",
    }
