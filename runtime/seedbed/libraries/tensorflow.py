"""TensorFlow: its seed, deterministic ops, and the global generator it refuses to make under them."""

import os
from collections.abc import Callable
from types import ModuleType

from seedbed import process


def configure(tensorflow: ModuleType) -> None:
    tensorflow.random.set_seed(process.seed("tensorflow"))
    if process.mode == "strict":  # there is no mode that only warns
        tensorflow.config.experimental.enable_op_determinism()
    forget_global_generator = make_global_generator_on_demand(tensorflow)
    follow_tasks(tensorflow, forget_global_generator)


def make_global_generator_on_demand(tensorflow: ModuleType) -> Callable[[], None]:
    """Making it at once would start the devices, after which user code can no longer configure them.

    Returns what has it made anew, unless it is the user's own.
    """
    from tensorflow.python.ops import stateful_random_ops as ops

    make = ops.get_global_generator
    made = None

    def get_global_generator():
        nonlocal made
        if ops.global_generator is None:
            with process.OutsideThreadTask():
                made = ops.Generator.from_seed(process.seed("tensorflow"))
            ops.set_global_generator(made)
        return make()

    def forget() -> None:
        if ops.global_generator is made:
            ops.global_generator = None

    get_global_generator.__doc__ = make.__doc__
    ops.get_global_generator = get_global_generator
    tensorflow.random.get_global_generator = get_global_generator
    tensorflow.random.experimental.get_global_generator = get_global_generator
    return forget


def follow_tasks(tensorflow: ModuleType, forget_global_generator: Callable[[], None]) -> None:
    """Tasks of a process pool are seeded, but in forked workers: TensorFlow does not work there once it has started."""
    from tensorflow.python.eager import context

    here = os.getpid()

    def reseed(number: int) -> None:
        if os.getpid() == here:
            tensorflow.random.set_seed(number)
            forget_global_generator()

    process.follow("tensorflow", reseed, context.global_seed)


def state(tensorflow: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words."""
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config

    on_demand = tensorflow.random.get_global_generator.__module__ == __name__
    return {
        "tensorflow.random.set_seed": str(context.global_seed()),
        "tensorflow.config.experimental.enable_op_determinism": str(config.is_op_determinism_enabled()),
        "tensorflow.random.get_global_generator": "derived from the seed" if on_demand else "random",
    }
