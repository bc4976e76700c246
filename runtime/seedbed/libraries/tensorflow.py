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
    seed_graphs()


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


def seed_graphs() -> None:
    """Give each graph of TensorFlow 1 a seed of its own when it is first asked for one, unless the user has set one.

    `tf.random.set_seed` sets the seed of eager execution only: without this, random ops in a graph refuse to be made
    under op determinism, and elsewhere draw from the operating system (framework/random_seed.py, get_seed). The first
    graph has the seed of the process; the others differ, since two graphs without a seed never draw the same numbers.
    Functions of TensorFlow 2 set theirs as they are made, from eager execution's.
    """
    from tensorflow.python.framework import ops

    original, unset = ops.Graph.seed, object()

    def seed(graph: ops.Graph) -> int | None:
        if getattr(graph, "_seedbed_seed", unset) is unset and original.fget(graph) is None:
            set_seed(graph, next_graph_seed())
        return original.fget(graph)

    def set_seed(graph: ops.Graph, number: int | None) -> None:
        graph._seedbed_seed = number  # None is a choice too
        original.fset(graph, number)

    seed.__module__ = __name__
    ops.Graph.seed = property(seed, set_seed, doc=original.__doc__)


def next_graph_seed() -> int:
    """The seed of the first graph in this process or task is that of `tf.random.set_seed`; later ones are derived."""
    number = process.count("tensorflow graph")
    if number == 1:
        return process.seed("tensorflow")
    return process.derived(f"tensorflow graph {number}").getrandbits(31)


def state(tensorflow: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words."""
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config, ops

    on_demand = tensorflow.random.get_global_generator.__module__ == __name__
    return {
        "tensorflow.random.set_seed": str(context.global_seed()),
        "tensorflow.config.experimental.enable_op_determinism": str(config.is_op_determinism_enabled()),
        "tensorflow.random.get_global_generator": "derived from the seed" if on_demand else "random",
        "tensorflow.Graph.seed": "derived from the seed" if ops.Graph.seed.fget.__module__ == __name__ else "None",
    }
