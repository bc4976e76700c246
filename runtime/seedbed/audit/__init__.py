"""SEEDBED_AUDIT=1: says at exit what stays unrepeatable, what only Seedbed makes repeatable, and what was undone.

Each place is named once, as file:line, with how often it was passed. Under `seedbed run --audit` generators that are
not Python's are watched too (`seedbed.native`), in all processes; `run` then reports what each Python found.
Of children of multiprocessing only the native generators are reported.
"""

import atexit
import functools
import os
import time
from importlib import import_module
from types import ModuleType

from seedbed import callers, environment, libraries, lineage, lint
from seedbed.audit import races
from seedbed.audit.notes import collect, note, note_at, note_with_package, places, rows, show
from seedbed.wrapping import StandIn, before

THANKS_TO_SEEDBED = "made without a seed; repeats only because of Seedbed"
CONSTANT_GENERATOR = "torch.Generator() never given a seed: the same numbers under every SEEDBED_SEED"
ENTROPY_CALLS = tuple(name for name in ("urandom", "getrandom") if hasattr(os, name))
VENDORED = "/_vendor/"  # what pip and setuptools bring for themselves
DAY = 86400  # seconds


def start() -> None:
    """Watch the operating system's entropy, and report at exit. Libraries are watched as they are configured."""
    if not lineage.is_program():
        return
    for name in ENTROPY_CALLS:
        call = getattr(os, name)
        before(os, name, note_entropy)
        os.register_at_fork(after_in_child=functools.partial(setattr, os, name, call))  # a child reports none of it
    libraries.watchers.append(watch)
    races.start()
    main_process = os.getpid()
    atexit.register(lambda: os.getpid() == main_process and report())


def watch(name: str, module: ModuleType) -> None:
    """Watch the calls of a library that has just been configured."""
    if name in WATCHED:
        WATCHED[name](module)


def watch_random(random: ModuleType) -> None:
    before(random.Random, "seed", lambda generator, seed=None, *_, **__: note_seed(seed))
    random.seed = random._inst.seed
    import_module("seedbed.libraries.random").on_left = note_left
    races.watch_random(random)


def watch_numpy(numpy_random: ModuleType) -> None:
    before(numpy_random.bit_generator, "randbits", lambda _: note(f"numpy generator {THANKS_TO_SEEDBED}"))
    for name in ("seed", "default_rng"):
        before(numpy_random, name, lambda seed=None, *_, **__: seed is not None and note_seed(seed))
    races.watch_numpy(numpy_random)


def watch_torch(torch: ModuleType) -> None:
    from torch.utils.data.distributed import DistributedSampler

    before(torch, "manual_seed", note_seed)
    before(DistributedSampler, "__init__", note_constant_sampler)
    torch.Generator = watched_generator(torch)


def watch_tensorflow(tensorflow: ModuleType) -> None:
    before(tensorflow.random, "set_seed", note_seed)


WATCHED = {"random": watch_random, "numpy.random": watch_numpy, "torch": watch_torch, "tensorflow": watch_tensorflow}


def note_entropy(*_: object) -> None:
    """Python code that asks for entropy wants it random; compiled code that does so seeds a generator of its own."""
    frame = callers.beyond((callers.SEEDBED,))
    asks = frame is None or any(name in frame.f_code.co_names for name in ENTROPY_CALLS)
    if asks or callers.is_python(frame.f_code.co_filename):
        note("os.urandom, uuid4 or secrets: random on purpose")
    elif place := callers.users_line(frame):
        note_at(place, f"{compiled_caller()} draws from the operating system's entropy: no seed reaches it")


def compiled_caller() -> str:
    """The library that has called the Python function which is running; known only where `seedbed.native` watches."""
    try:
        import ctypes

        ask = ctypes.CDLL(None).seedbed_caller
    except (ImportError, OSError, AttributeError):  # not preloaded
        return "compiled code called here"
    from seedbed.native import events

    ask.restype = ctypes.c_char_p
    library = os.fsdecode(ask())
    return events.library_name(library) if library else "compiled code called here"


def note_seed(seed: object = None) -> None:
    """No seed at all, or one that is the time of day."""
    if seed is None:
        note(f"generator {THANKS_TO_SEEDBED}")
    elif isinstance(seed, int | float) and is_time(seed):
        note_with_package(lint.CLOCK)


def is_time(seed: float) -> bool:
    """Whether it is the time of day in one of these units a second; a whole number may be larger than any float."""
    return any(abs(seed - int(time.time() * unit)) < DAY * unit for unit in (1, 10**3, 10**6, 10**9))


def note_left(what: str) -> None:
    """A generator left random, where it was made or first drew: in a package, too. Generated code is passed over."""
    frame = callers.beyond((*callers.PASSED_THROUGH, "<string>", "<attrs"))
    if frame and VENDORED not in frame.f_code.co_filename:
        note_at(callers.place(frame), what)


def note_constant_sampler(*_: object, shuffle: bool = True, seed: int = 0, **__: object) -> None:
    if shuffle and seed == 0:
        note("DistributedSampler(seed=0): the same order under every SEEDBED_SEED")


def watched_generator(torch: ModuleType) -> type:
    """`torch.Generator`, with each that is still at its constant seed at exit noted."""

    class Generator(torch.Generator, metaclass=StandIn):
        stands_for = torch.Generator
        __module__, __qualname__ = "torch", "Generator"  # by which pickle finds it

        def __init__(self, *_: object, **__: object) -> None:
            place, seed = callers.caller(), self.initial_seed()
            if place:
                atexit.register(lambda: self.initial_seed() == seed and note_at(place, CONSTANT_GENERATOR))

    return Generator


def report() -> None:
    """What this process has found: into the file of `seedbed run --audit`, else on stderr."""
    from seedbed.libraries import findings

    for file in callers.users_files():
        for line, what in lint.unordered(file):
            if what != lint.CLOCK or ((file, line), what) not in places:  # it was passed, and counted
                note_at((file, line), what)
    found = [(file, line, what, count) for ((file, line), what), count in places.items()]
    undone = [f"{row.name} is {row.found} at exit, was set {row.wanted}" for row in findings.undone()]
    if not collect({"places": found, "undone": undone, "rank": environment.one_of_ranks(os.environ)}):
        show(rows(found), ["native generators are not watched: use seedbed run --audit", *undone])
