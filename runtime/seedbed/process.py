"""The mode and the seed of this process, and the streams of numbers derived from them.

A process that was started by hand or by a script has the seed asked for. A child that multiprocessing spawned has one
of its own, derived from its lineage, so that workers differ from one another and not from run to run.
"""

import os

from seedbed import boot, environment

mode = environment.mode(os.environ)
root_seed = environment.seed(os.environ)


def seed() -> int:
    """The seed of this process, 0 to 2**32 - 1."""
    return stream("process").getrandbits(32) if boot.lineage else root_seed


def stream(name: str):
    """A `random.Random` for one purpose, the same in every run; in a forked child it starts anew, and differently."""

    from random import Random  # not at the top: importing it is what has it configured, by way of this module

    def start() -> None:
        generator.seed(f"seedbed {root_seed}{boot.lineage} {name}")

    generator = Random(0)
    start()
    os.register_at_fork(after_in_child=start)
    return generator
