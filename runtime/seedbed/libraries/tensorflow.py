"""TensorFlow: its seed, deterministic ops, and the global generator it refuses to make under them."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType

from seedbed import process

HOLDERS = (".nn", ".nn_ops", ".image", ".image_ops_impl", ".raw_ops")  # modules that have them, among TensorFlow's
SEED_IS_RANDOM = (  # functions that draw from the operating system if their seed is 0, whatever tf.random.set_seed says
    *("fractional_avg_pool", "fractional_max_pool", "sample_distorted_bounding_box"),
    *("fractional_avg_pool_v2", "fractional_max_pool_v2", "sample_distorted_bounding_box_v2"),
    *("FractionalAvgPool", "FractionalMaxPool", "SampleDistortedBoundingBox", "SampleDistortedBoundingBoxV2"),
)


def configure(tensorflow: ModuleType) -> None:
    tensorflow.random.set_seed(process.seed("tensorflow"))
    if process.mode == "strict":  # there is no mode that only warns
        tensorflow.config.experimental.enable_op_determinism()
    forget_global_generator = make_global_generator_on_demand(tensorflow)
    follow_tasks(tensorflow, forget_global_generator)
    seed_graphs()
    fill_seeds()


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


def fill_seeds() -> None:
    """Give the functions that take a seed of 0 for `random` the one that TensorFlow derives for other random ops.

    Under op determinism TensorFlow refuses most of them without a seed, but not fractional_avg_pool (ops/nn_ops.py).
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("tensorflow.") and name.endswith(HOLDERS):
            for function in SEED_IS_RANDOM:
                if call := vars(module).get(function):
                    setattr(module, function, with_seed(call))


@functools.cache  # several modules hold the same function
def with_seed(call: Callable) -> Callable:
    """The function, called with a seed if it is called with none or with 0; the user's own stays."""
    signature = inspect.signature(call)

    @functools.wraps(call)
    def seeded(*args, **kwargs):
        given = signature.bind_partial(*args, **kwargs).arguments
        if given.get("seed") or given.get("seed2"):
            return call(*args, **kwargs)
        return call(**given | derived_seeds(signature.parameters))

    return seeded


def derived_seeds(parameters: object) -> dict[str, int | bool]:
    """The arguments that seed such a function; none where the user has set the seed to None."""
    from tensorflow.python.framework import random_seed

    of_graph, of_operation = random_seed.get_seed(None)
    if of_operation is None:
        return {}
    if "seed2" not in parameters:
        return {"seed": of_operation or 1}
    fixed = {"deterministic": True} if "deterministic" in parameters else {}
    return {"seed": of_graph or 1, "seed2": of_operation or 1, **fixed}


def state(tensorflow: ModuleType) -> dict[str, str]:
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config, ops

    on_demand = tensorflow.random.get_global_generator.__module__ == __name__
    return {
        "tensorflow.random.set_seed": str(context.global_seed()),
        "tensorflow.config.experimental.enable_op_determinism": str(config.is_op_determinism_enabled()),
        "tensorflow.random.get_global_generator": "derived from the seed" if on_demand else "random",
        "tensorflow.Graph.seed": "derived from the seed" if ops.Graph.seed.fget.__module__ == __name__ else "None",
    }
