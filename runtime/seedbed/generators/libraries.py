"""The global generators of each library: what they hold, and how it is put back."""

import sys
from collections.abc import Callable
from importlib import import_module

from seedbed.generators.named import KINDS, as_python

LOADED = {"numpy": "numpy.random", "keras": "keras.src.random.seed_generator"}  # a library is there if this module is
KERAS = (
    "global_seed_generator"  # of Keras, that takes no seed; layers have theirs as variables, which come with the model
)


def is_loaded(library: str) -> bool:
    """Whether it has run: a module that is being imported has no generator yet."""
    module = sys.modules.get(LOADED.get(library, library))
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def bring(library: str) -> None:
    """A library that was loaded when the state was saved, before the script has come to import it."""
    try:
        import_module(LOADED.get(library, library))
    except ImportError as error:
        raise ValueError(f"seedbed.restore: the state holds {library}'s generators, and {error}") from error


def as_one(module: str, kind: str) -> tuple[Callable[[], object], Callable]:
    """Of a module whose functions are those of one generator of this kind."""
    save, restore = KINDS[kind]
    return lambda: save(sys.modules[module]), lambda state: restore(sys.modules[module], state)


def save_torch() -> dict:
    """CUDA that has not started has no generator: it takes the CPU's first seed when it starts."""
    torch = sys.modules["torch"]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {"cpu": torch.get_rng_state(), "cuda": list(cuda)}


def check_torch(state: dict) -> None:
    """ValueError: fewer GPUs are here."""
    gpus = sys.modules["torch"].cuda.device_count() if state["cuda"] else 0
    if gpus < len(state["cuda"]):
        raise ValueError(
            f"seedbed.restore: the state holds generators of {len(state['cuda'])} GPUs, and {gpus} are here"
        )


def restore_torch(state: dict) -> None:
    """Tensors may come on a GPU, by `map_location`; torch wants them on the CPU."""
    torch = sys.modules["torch"]
    torch.set_rng_state(state["cpu"].cpu())
    for device, generator in enumerate(state["cuda"]):
        torch.cuda.set_rng_state(generator.cpu(), device)


def save_tensorflow() -> dict:
    """The seed, the source of seeds for operations, and the global generator if there is one.

    Random operations with a seed of their own, and those inside a `tf.function`, count in their kernels, where nothing
    can read it.
    """
    context, ops = tensorflow_modules()
    source = context.context()._rng
    return {
        "seed": context.global_seed(),
        "operations": None if source is None else source.getstate(),
        "generator": ops.global_generator and KINDS["tensorflow"][0](ops.global_generator),
    }


def restore_tensorflow(state: dict) -> None:
    context, ops = tensorflow_modules()
    sys.modules["tensorflow"].random.set_seed(state["seed"])
    if state["operations"] is not None:
        context.context()._rng.setstate(as_python(state["operations"]))
    if state["generator"] is None:
        ops.global_generator = None
    elif ops.global_generator is None or ops.global_generator.algorithm != state["generator"]["algorithm"]:
        made = ops.Generator.from_state(state["generator"]["numbers"], state["generator"]["algorithm"])
        ops.set_global_generator(made)
    else:  # functions that were traced before hold on to it
        KINDS["tensorflow"][1](ops.global_generator, state["generator"])


def tensorflow_modules() -> tuple:
    from tensorflow.python.eager import context
    from tensorflow.python.ops import stateful_random_ops

    return context, stateful_random_ops


def save_keras() -> list[int] | None:
    generator = global_state().get_global_attribute(KERAS)
    return generator and KINDS["keras"][0](generator)


def restore_keras(state: list[int] | None) -> None:
    if state is None:
        global_state().set_global_attribute(KERAS, None)
    else:
        KINDS["keras"][1](sys.modules[LOADED["keras"]].global_seed_generator(), state)


def global_state():
    return import_module("keras.src.backend.common.global_state")


LIBRARIES: dict[str, tuple[Callable[[], object], Callable]] = {
    "random": as_one("random", "random"),
    "numpy": as_one("numpy.random", "numpy legacy"),
    "torch": (save_torch, restore_torch),
    "tensorflow": (save_tensorflow, restore_tensorflow),
    "keras": (save_keras, restore_keras),
}
