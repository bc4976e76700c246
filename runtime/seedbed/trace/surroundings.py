"""What reaches a computation from outside of it: seeds, and files that Python opens."""

import hashlib
import os
import sys
from functools import partial
from types import ModuleType

from seedbed import callers, wrapping
from seedbed.trace import journal
from seedbed.wrapping import StandIn, after

HASHED_WHOLE = 64 * 2**20  # bytes; of a larger file, the size and the time of change
NOT_DATA = (f"{sys.prefix}/", f"{sys.base_prefix}/", "/proc/", "/sys/", "/dev/", "/etc/", "/usr/")
PASSED_THROUGH = (__file__, wrapping.__file__, f"{callers.STANDARD_LIBRARY}random.py")  # by a call that seeds
_read: set[str] = set()
_written: set[str] = set()  # by this process: its own files are no surroundings
_looking = False


def start() -> None:
    sys.addaudithook(_note_reading)


def watch(name: str, module: ModuleType) -> None:
    """Write down each seed that the user's code gives, and the state of each generator that it makes without one."""
    if name == "numpy" and journal.plan.fill is not None:
        fill_arrays(module)
    elif name == "random":
        after(module.Random, "seed", lambda _, made, *seed, **__: note_seed("random.seed", *seed[:1], made.getstate()))
        module.seed = module._inst.seed
    elif name == "numpy.random":
        for what in ("seed", "default_rng"):
            after(module, what, partial(note_numpy, module, f"numpy.random.{what}"))
    elif name == "torch":
        after(module, "manual_seed", lambda made, *_, **__: note_seed("torch.manual_seed", made.initial_seed()))
        after(module, "set_num_threads", lambda _, threads: note_seed("torch.set_num_threads", threads))
        module.Generator = watched_generator(module)
    elif name == "tensorflow":
        after(module.random, "set_seed", lambda _, seed: note_seed("tf.random.set_seed", seed))
        after(module.config.threading, "set_intra_op_parallelism_threads", lambda _, n: note_seed("threads", n))


def note_seed(what: str, *said: object) -> None:
    """What was given, if it is a number; else the fingerprint of the last of `said`, the state that came of it.

    Only the user's own seeding is of interest, and that of the libraries the user calls: not Seedbed's.
    """
    places = journal.places()
    if places and not is_by_seedbed():
        value = said[0] if isinstance(said[0], int) else hashlib.sha1(repr(said[-1]).encode()).hexdigest()[:12]
        journal.write(seed=what, value=value, places=places)


def is_by_seedbed() -> bool:
    """Whether Seedbed seeds: a generator of its own, or those of a forked child."""
    seeder = callers.beyond(PASSED_THROUGH)
    return seeder is not None and seeder.f_code.co_filename.startswith(callers.SEEDBED)


def note_numpy(numpy_random: ModuleType, what: str, made: object, *given: object, **_: object) -> None:
    state = numpy_random.get_state()[1].tobytes() if made is None else made.bit_generator.state
    note_seed(what, *given[:1], state)


def fill_arrays(numpy: ModuleType) -> None:
    """As is done with torch's memory: what numpy hands out uninitialised has the plan's filling."""
    for name in ("empty", "empty_like"):
        after(numpy, name, fill_array)


def fill_array(array, *_: object, **__: object) -> None:
    if array.dtype != object:
        array.fill(journal.plan.fill)
        if places := journal.places():
            journal.write(fresh="numpy.empty", places=places)


def watched_generator(torch: ModuleType) -> type:
    """`torch.Generator`, of which no method can be replaced, with its two ways to be seeded watched."""

    class Generator(torch.Generator, metaclass=StandIn):
        stands_for = torch.Generator
        __module__, __qualname__ = "torch", "Generator"  # by which pickle finds it

        def seed(self) -> int:
            seed = super().seed()
            note_seed("torch.Generator.seed", seed)
            return seed

        def manual_seed(self, seed: int) -> torch.Generator:
            note_seed("torch.Generator.manual_seed", seed)
            return super().manual_seed(seed)

    return Generator


def note_file(path: str) -> None:
    """A file that is read, once, with a fingerprint of what it holds."""
    known = path in _read or path in _written
    if known or path.startswith(NOT_DATA) or path.endswith(".pyc") or not os.path.isfile(path):
        return
    _read.add(path)
    journal.write(file=path, fingerprint=fingerprint(path), places=journal.places())


def fingerprint(path: str) -> str:
    """Equal for equal content; of a large file, for equal size and time of change."""
    state = os.stat(path)
    if state.st_size > HASHED_WHOLE:
        return f"{state.st_size} bytes, changed at {state.st_mtime_ns}"
    with open(path, "rb") as file:
        return f"{state.st_size} bytes, sha1 {hashlib.sha1(file.read()).hexdigest()[:12]}"


def note_listing(folder: str) -> None:
    """The names in a folder, in the file system's order."""
    inside = f"{folder.rstrip('/')}/"
    if inside.startswith(NOT_DATA) or any(path.startswith(inside) for path in _written):
        return
    names = os.listdir(folder)
    shown = hashlib.sha1(repr(names).encode()).hexdigest()[:12]
    if places := journal.places():
        journal.write(listing=folder, fingerprint=f"{len(names)} names, sha1 {shown}", places=places)


def _note_reading(event: str, arguments: tuple) -> None:
    """An audit hook (PEP 578): sees every file that Python code opens, whichever library it belongs to."""
    global _looking
    if event not in ("open", "os.listdir", "os.scandir") or _looking or isinstance(arguments[0], int):
        return
    _looking = True
    try:
        path = os.path.abspath(os.fsdecode(arguments[0] or "."))
        if event == "open" and not _reads(*arguments[1:3]):
            _written.add(path)
        elif not _importing() or path.endswith(".py"):
            note_file(path) if event == "open" else note_listing(path)
    except OSError:
        pass  # the user's own call will fail the same way
    finally:
        _looking = False


def _importing() -> bool:
    """Whether it is Python's import system that reads, or a library that is being imported."""
    frame = sys._getframe()
    while frame and not journal.is_users(frame.f_code.co_filename):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _reads(mode: str | None, flags: int) -> bool:
    """Whether a file is opened for reading only: by `open`, or by `os.open`, which has no mode."""
    return "r" in mode and "+" not in mode if mode else flags & os.O_ACCMODE == os.O_RDONLY
