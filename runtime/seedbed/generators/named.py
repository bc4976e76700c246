"""Each kind of generator: how it is known, saved and put back. The script hands over its own by name."""

import sys
from collections.abc import Callable
from importlib import import_module

CLASSES = {  # kind -> the module that has its class, if it is loaded, and the class
    "random": ("random", "Random"),
    "numpy": ("numpy.random", "Generator"),
    "numpy legacy": ("numpy.random", "RandomState"),
    "torch": ("torch", "Generator"),
    "tensorflow": ("tensorflow.python.ops.stateful_random_ops", "Generator"),
    "keras": ("keras.src.random.seed_generator", "SeedGenerator"),
}


def save(name: str, generator: object) -> dict:
    """ValueError: it is no generator."""
    kind = kind_of(generator)
    if kind is None:
        kinds = "of random, numpy, torch, tensorflow or keras"
        raise ValueError(f"seedbed.state: {name}: expected a generator {kinds}, found {type(generator).__name__}")
    return {"kind": kind, "state": KINDS[kind][0](generator)}


def check(name: str, generator: object, saved: dict) -> None:
    """ValueError: it is of another kind than the one that was saved."""
    kind, expected = kind_of(generator), saved["kind"]
    if kind != expected:
        raise ValueError(f"seedbed.restore: {name}: expected a generator of {expected}, found {kind or 'none'}")
    if kind == "numpy":
        found, expected = type(generator.bit_generator).__name__, saved["state"]["bit_generator"]
        if found != expected:
            raise ValueError(
                f"seedbed.restore: {name}: expected a numpy generator that is a {expected}, found a {found}"
            )


def restore(generator: object, saved: dict) -> None:
    KINDS[saved["kind"]][1](generator, saved["state"])


def kind_of(value: object) -> str | None:
    """Which kind of generator it is, if it is one; asks no attribute of an object of the user's."""
    for kind, (module, name) in CLASSES.items():
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and isinstance(value, found):
            return kind
    return None


def as_python(state) -> tuple:
    """A state of Python's generator; JSON and others make lists of tuples."""
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


def plain(value: object) -> object:
    """What numpy's states hold, without numpy's types."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if hasattr(value, "dtype"):
        return {"dtype": str(value.dtype), "numbers": value.tolist()} if value.ndim else value.item()
    return value


def with_arrays(value: object) -> object:
    """`plain`, undone."""
    if isinstance(value, dict) and value.keys() == {"dtype", "numbers"}:
        return sys.modules["numpy"].array(value["numbers"], dtype=value["dtype"])
    return {key: with_arrays(part) for key, part in value.items()} if isinstance(value, dict) else value


KINDS: dict[str, tuple[Callable, Callable]] = {
    "random": (lambda own: own.getstate(), lambda own, state: own.setstate(as_python(state))),
    "numpy": (
        lambda own: plain(own.bit_generator.state),
        lambda own, state: setattr(own.bit_generator, "state", with_arrays(state)),
    ),
    "numpy legacy": (
        lambda own: plain(own.get_state(legacy=False)),
        lambda own, state: own.set_state(with_arrays(state)),
    ),
    "torch": (lambda own: own.get_state(), lambda own, state: own.set_state(state.cpu())),
    "tensorflow": (
        lambda own: {"algorithm": int(own.algorithm), "numbers": own.state.numpy().tolist()},
        lambda own, state: own.state.assign(state["numbers"]),
    ),
    "keras": (
        lambda own: import_module("keras").ops.convert_to_numpy(own.state).tolist(),
        lambda own, state: own.state.assign(state),
    ),
}
