"""The state of every generator: what a script saves beside its model, and restores, to resume exactly.

A state holds dicts, lists, tuples, texts and numbers, and tensors if torch is loaded: `pickle` and
`torch.load(weights_only=True)` can read it, on any device. Nothing is imported that is not loaded already, but for
libraries that a state holds.
"""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module

FORMAT = 1
OWN = "own"
LOADED = {"numpy": "numpy.random", "keras": "keras.src.random.seed_generator"}  # a library is there if this module is


def saved(own: dict[str, object]) -> dict:
    """See `seedbed.state`."""
    found: dict = {"format": FORMAT}
    for library, (save, _) in LIBRARIES.items():
        if is_loaded(library):
            found[library] = save()
    if ours := sys.modules.get("seedbed.process"):  # not in mode off
        found["seedbed"] = save_streams(ours)
    found[OWN] = {name: save_own(name, generator) for name, generator in own.items()}
    return found


def restore(state: dict, own: dict[str, object]) -> None:
    """See `seedbed.restore`."""
    check(state, own)
    for library in [name for name in LIBRARIES if name in state and not is_loaded(name)]:
        bring(library)
    ours = sys.modules.get("seedbed.process") if "seedbed" in state else None
    if ours:
        check_streams(ours, state["seedbed"])
    for library, (_, put_back) in LIBRARIES.items():
        if library in state:
            put_back(state[library])
    for name, generator in own.items():
        KINDS[state[OWN][name]["kind"]][1](generator, state[OWN][name]["state"])
    if ours:  # last: the others have noted what they were given
        restore_streams(ours, state["seedbed"])


def check(state: dict, own: dict[str, object]) -> None:
    if not isinstance(state, dict) or "format" not in state or not isinstance(state.get(OWN), dict):
        raise ValueError(f"seedbed.restore: expected what seedbed.state() returned, found {type(state).__name__}")
    if state["format"] != FORMAT:
        raise ValueError(
            f"seedbed.restore: expected a state of format {FORMAT}, found format {state['format']!r}: "
            "it was saved by another version of Seedbed"
        )
    for name in state[OWN].keys() ^ own.keys():
        given, other = ("state()", "restore()") if name in state[OWN] else ("restore()", "state()")
        raise ValueError(f"seedbed.restore: {name} was given to {given} and not to {other}; give it to both")
    for name, generator in own.items():
        check_own(name, generator, state[OWN][name])


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


def as_python(state) -> tuple:
    """JSON and others make lists of tuples."""
    version, numbers, gauss = state
    return version, tuple(numbers), gauss


def save_numpy() -> dict:
    return plain(sys.modules["numpy"].random.get_state(legacy=False))


def restore_numpy(state: dict) -> None:
    sys.modules["numpy"].random.set_state(with_arrays(state))


def save_torch() -> dict:
    """CUDA that has not started has no generator: it takes the CPU's first seed when it starts."""
    torch = sys.modules["torch"]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {"cpu": torch.get_rng_state(), "cuda": list(cuda)}


def restore_torch(state: dict) -> None:
    """Tensors may come on a GPU, by `map_location`; torch wants them on the CPU."""
    torch = sys.modules["torch"]
    gpus = torch.cuda.device_count() if state["cuda"] else 0
    if gpus < len(state["cuda"]):
        raise ValueError(
            f"seedbed.restore: the state holds generators of {len(state['cuda'])} GPUs, and {gpus} are here"
        )
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
        "generator": ops.global_generator and save_tensorflow_generator(ops.global_generator),
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


def save_tensorflow_generator(generator) -> dict:
    return {"algorithm": int(generator.algorithm), "numbers": generator.state.numpy().tolist()}


def save_keras() -> list[int] | None:
    """The generator of Keras that takes no seed; layers have theirs as variables, which come with the model."""
    generator = keras_generator()
    return generator and save_seed_generator(generator)


def restore_keras(state: list[int] | None) -> None:
    if state is not None:
        restore_seed_generator(sys.modules[LOADED["keras"]].global_seed_generator(), state)
    elif keras_generator():
        import_module("keras.src.backend.common.global_state").set_global_attribute("global_seed_generator", None)


def keras_generator():
    return import_module("keras.src.backend.common.global_state").get_global_attribute("global_seed_generator")


def save_seed_generator(generator) -> list[int]:
    return import_module("keras").ops.convert_to_numpy(generator.state).tolist()


def restore_seed_generator(generator, state: list[int]) -> None:
    generator.state.assign(state)


def save_streams(process) -> dict:
    """Seedbed's own streams that somebody has drawn from, its counts, and what the user has seeded."""
    if process.in_thread_task():
        raise ValueError("seedbed.state: called in a task of a pool of threads; call it in the main thread")
    process.choices()  # what was noted to be computed later is text from here on
    moved = {
        name: stream.generator.getstate()
        for name, stream in process._streams.items()
        if stream.generator.getstate() != process.derived(name).getstate()
    }
    return {
        "seed": process.root_seed,
        "mode": process.mode,
        "streams": moved,
        "counts": dict(process._counts),
        "forks": process.lineage._forks,
        "seeded": dict(process._noted),
    }


def check_streams(process, state: dict) -> None:
    if "off" not in (process.mode, state["mode"]) and process.root_seed != state["seed"]:
        raise ValueError(
            f"seedbed.restore: the state is of seed {state['seed']}, and this process has {process.root_seed}: "
            f"set SEEDBED_SEED={state['seed']}"
        )
    if process.in_thread_task():
        raise ValueError("seedbed.restore: called in a task of a pool of threads; call it in the main thread")
    if missing := sorted(state["streams"].keys() - process._streams.keys()):
        raise ValueError(f"seedbed.restore: import the libraries first: nothing draws from {', '.join(missing)} yet")


def restore_streams(process, state: dict) -> None:
    process.restart_streams()
    for name, numbers in state["streams"].items():
        process._streams[name].generator.setstate(as_python(numbers))
    process.lineage._forks = state["forks"]
    for kept, found in ((process._counts, state["counts"]), (process._noted, state["seeded"])):
        kept.clear()
        kept.update(found)


LIBRARIES: dict[str, tuple[Callable[[], object], Callable]] = {
    "random": (
        lambda: sys.modules["random"].getstate(),
        lambda state: sys.modules["random"].setstate(as_python(state)),
    ),
    "numpy": (save_numpy, restore_numpy),
    "torch": (save_torch, restore_torch),
    "tensorflow": (save_tensorflow, restore_tensorflow),
    "keras": (save_keras, restore_keras),
}


def save_own(name: str, generator: object) -> dict:
    kind = kind_of(generator)
    if kind is None:
        kinds = "of random, numpy, torch, tensorflow or keras"
        raise ValueError(f"seedbed.state: {name}: expected a generator {kinds}, found {type(generator).__name__}")
    return {"kind": kind, "state": KINDS[kind][0](generator)}


def check_own(name: str, generator: object, state: dict) -> None:
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
    "tensorflow": (save_tensorflow_generator, lambda own, state: own.state.assign(state["numbers"])),
    "keras": (save_seed_generator, restore_seed_generator),
}
