"""TensorFlow: its seed, deterministic ops, and the global generator it refuses to make under them."""

from types import ModuleType

from seedbed import process


def configure(tensorflow: ModuleType) -> None:
    tensorflow.random.set_seed(process.seed())
    if process.mode == "strict":  # there is no mode that only warns
        tensorflow.config.experimental.enable_op_determinism()
    make_global_generator_on_demand(tensorflow)


def make_global_generator_on_demand(tensorflow: ModuleType) -> None:
    """Making it at once would start the devices, after which user code can no longer configure them."""
    from tensorflow.python.ops import stateful_random_ops as ops

    make = ops.get_global_generator

    def get_global_generator():
        if ops.global_generator is None:
            ops.set_global_generator(ops.Generator.from_seed(process.seed()))
        return make()

    get_global_generator.__doc__ = make.__doc__
    ops.get_global_generator = get_global_generator
    tensorflow.random.get_global_generator = get_global_generator
    tensorflow.random.experimental.get_global_generator = get_global_generator


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
