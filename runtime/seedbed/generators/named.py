"""Generators of the script's own, which it hands over by name."""

import sys
from collections.abc import Callable, Iterator

from seedbed.generators.libraries import (
    as_python,
    plain,
    restore_seed_generator,
    restore_tensorflow_generator,
    save_seed_generator,
    save_tensorflow_generator,
    with_arrays,
)


def save(name: str, generator: object) -> dict:
    kind = kind_of(generator)
    if kind is None:
        kinds = "of random, numpy, torch, tensorflow or keras"
        raise ValueError(f"seedbed.state: {name}: expected a generator {kinds}, found {type(generator).__name__}")
    return {"kind": kind, "state": KINDS[kind][0](generator)}


def check(name: str, generator: object, state: dict) -> None:
    if (kind := kind_of(generator)) != state["kind"]:
        raise ValueError(f"seedbed.restore: {name}: expected a generator of {state['kind']}, found {kind or 'none'}")


def kind_of(value: object) -> str | None:
    """Which kind of generator it is, if it is one; asks no attribute of an object of the user's."""
    for kind, owner in classes():
        if isinstance(value, owner):
            return kind
    return None


def classes() -> Iterator[tuple[str, type]]:
    """The classes of generators that are loaded."""
    for kind, (module, *names) in CLASSES.items():
        for name in names if module in sys.modules else ():
            if isinstance(found := getattr(sys.modules[module], name, None), type):
                yield kind, found


def set_bit_generator(generator, state: dict) -> None:
    found, expected = type(generator.bit_generator).__name__, state["bit_generator"]
    if found != expected:
        raise ValueError(f"seedbed.restore: expected a numpy generator that is a {expected}, found a {found}")
    generator.bit_generator.state = with_arrays(state)


CLASSES = {  # the module that has them, if it is loaded
    "random": ("random", "Random"),
    "numpy": ("numpy.random", "Generator"),
    "numpy legacy": ("numpy.random", "RandomState"),
    "torch": ("torch", "Generator"),
    "tensorflow": ("tensorflow.python.ops.stateful_random_ops", "Generator"),
    "keras": ("keras.src.random.seed_generator", "SeedGenerator"),
}
KINDS: dict[str, tuple[Callable, Callable]] = {
    "random": (lambda own: own.getstate(), lambda own, state: own.setstate(as_python(state))),
    "numpy": (lambda own: plain(own.bit_generator.state), set_bit_generator),
    "numpy legacy": (
        lambda own: plain(own.get_state(legacy=False)),
        lambda own, kept: own.set_state(with_arrays(kept)),
    ),
    "torch": (lambda own: own.get_state(), lambda own, state: own.set_state(state.cpu())),
    "tensorflow": (save_tensorflow_generator, restore_tensorflow_generator),
    "keras": (save_seed_generator, restore_seed_generator),
}
