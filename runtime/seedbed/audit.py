"""SEEDBED_AUDIT=1: says at exit what stays unrepeatable, what only Seedbed makes repeatable, and what was undone.

Each place is named once, as file:line, with how often it was passed. Under `seedbed run --audit` generators that are
not Python's are watched too (`seedbed.native`), in all processes; `run` then reports what each Python found.
Of children of multiprocessing only the native generators are reported.
"""

import atexit
import functools
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from types import FrameType, ModuleType

from seedbed import boot, lint

THANKS_TO_SEEDBED = "made without a seed; repeats only thanks to Seedbed"
OWN = str(Path(__file__).parent)
CONSTANT_GENERATOR = "torch.Generator() never given a seed: the same numbers under every SEEDBED_SEED"
STANDARD_LIBRARY = str(Path(os.__file__).parent)
PASSED_THROUGH = (OWN, *(f"{STANDARD_LIBRARY}/{name}.py" for name in ("random", "secrets", "uuid")))
ENTROPY_CALLS = tuple(name for name in ("urandom", "getrandom") if hasattr(os, name))
PACKAGES = ("/site-packages/", "/dist-packages/")
VENDORED = "/_vendor/"  # what pip and setuptools bring for themselves
PACKAGE = re.compile(r"/(?:site|dist)-packages/([^/]+)")
DAY = 86400  # seconds
COLLECTED = "SEEDBED_AUDIT_FILE"  # set by `seedbed run --audit`: what each Python found goes there

Place = tuple[str, int]  # file, line
places: Counter[tuple[Place, str]] = Counter()


def start() -> None:
    """Watch the operating system's entropy, and report at exit. Libraries are watched as they are configured."""
    if not boot.is_program():
        return
    for name in ENTROPY_CALLS:
        call = getattr(os, name)
        watch_call(os, name, note_entropy)
        os.register_at_fork(
            after_in_child=functools.partial(setattr, os, name, call)
        )  # a child reports none of Python's
    from seedbed import races  # which imports this module

    races.start()
    main_process = os.getpid()
    atexit.register(lambda: os.getpid() == main_process and report())


def watch(library: str, module: ModuleType) -> None:
    """Watch the calls of a library that has just been configured."""
    watchers = {"random": watch_random, "numpy": watch_numpy, "torch": watch_torch, "tensorflow": watch_tensorflow}
    if library in watchers:
        watchers[library](module)


def watch_random(random: ModuleType) -> None:
    watch_call(random.Random, "seed", lambda generator, seed=None, *_, **__: note_seed(seed))
    random.seed = random._inst.seed
    import_module("seedbed.libraries.random").on_left = note_left
    from seedbed import races  # which imports this module

    races.watch_random(random)


def watch_numpy(numpy_random: ModuleType) -> None:
    watch_call(numpy_random.bit_generator, "randbits", lambda _: note(f"numpy generator {THANKS_TO_SEEDBED}"))
    for name in ("seed", "default_rng"):
        watch_call(numpy_random, name, lambda seed=None, *_, **__: seed is not None and note_seed(seed))
    from seedbed import races  # which imports this module

    races.watch_numpy(numpy_random)


def watch_torch(torch: ModuleType) -> None:
    from torch.utils.data.distributed import DistributedSampler

    watch_call(torch, "manual_seed", note_seed)
    watch_call(DistributedSampler, "__init__", note_constant_sampler)
    torch.Generator = watched_generator(torch)


def watch_tensorflow(tensorflow: ModuleType) -> None:
    watch_call(tensorflow.random, "set_seed", note_seed)


def watch_call(owner: object, name: str, before: Callable[..., object]) -> None:
    """Have `before` called with the arguments of each call of `owner.name`."""
    call = getattr(owner, name)

    @functools.wraps(call)
    def watched(*args, **kwargs):
        before(*args, **kwargs)
        return call(*args, **kwargs)

    setattr(owner, name, watched)


def note_entropy(*_: object) -> None:
    """Python code that asks for entropy wants it random; compiled code that does so seeds a generator of its own."""
    frame = outside_seedbed()
    asks = frame is None or any(name in frame.f_code.co_names for name in ENTROPY_CALLS)
    if asks or frame.f_code.co_filename.startswith(STANDARD_LIBRARY):
        note("os.urandom, uuid4 or secrets: random on purpose")
    elif place := users_line(frame):
        note_at(place, f"{compiled_caller()} draws from the operating system's entropy: no seed reaches it")


def compiled_caller() -> str:
    """The library that has called the Python function which is running; known only where `seedbed.native` watches."""
    from seedbed.native import caller, events

    library = caller.compiled_caller()
    return events.library_name(library) if library else "compiled code called here"


def note_seed(seed: object = None) -> None:
    """No seed at all, or one that is the time of day (in s, ms, µs or ns)."""
    if seed is None:
        note(f"generator {THANKS_TO_SEEDBED}")
    elif isinstance(seed, int | float) and any(abs(seed / unit - time.time()) < DAY for unit in (1, 1e3, 1e6, 1e9)):
        note_with_package(lint.CLOCK)


def note_left(what: str) -> None:
    """A generator left random, where it was made or first drew: in a package, too. Generated code is passed over."""
    frame = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((*PASSED_THROUGH, "<string>", "<attrs")):
        frame = frame.f_back
    if frame and VENDORED not in frame.f_code.co_filename:
        note_at((frame.f_code.co_filename, frame.f_lineno), what)


def note_constant_sampler(*_: object, shuffle: bool = True, seed: int = 0, **__: object) -> None:
    if shuffle and seed == 0:
        note("DistributedSampler(seed=0): the same order under every SEEDBED_SEED")


def watched_generator(torch: ModuleType) -> type:
    """`torch.Generator`, with each that is still at its constant seed at exit noted."""

    class Generator(torch.Generator):
        def __init__(self, *_: object, **__: object) -> None:
            place, seed = caller(), self.initial_seed()
            if place:
                atexit.register(lambda: self.initial_seed() == seed and note_at(place, CONSTANT_GENERATOR))

    return Generator


def note(what: str) -> None:
    """Count `what` for the caller where that is the user's own code."""
    place = caller()
    if place:
        note_at(place, what)


def note_with_package(what: str) -> None:
    """Count `what` for the user's line, also if it is a package that was called there which does it."""
    frame = outside_seedbed()
    while frame and frame.f_code.co_filename.startswith(PASSED_THROUGH):
        frame = frame.f_back
    place = users_line(frame)
    if frame and place:
        package = PACKAGE.search(frame.f_code.co_filename)
        note_at(place, f"{package[1].removesuffix('.py')}: {what}" if package else what)


def note_at(place: Place, what: str) -> None:
    places[place, what] += 1


def caller() -> Place | None:
    """The nearest caller beyond Seedbed and the modules that only pass randomness on; None: not the user's code."""
    frame = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(PASSED_THROUGH):
        frame = frame.f_back
    if frame is None or not is_users(frame.f_code.co_filename):
        return None
    return frame.f_code.co_filename, frame.f_lineno


def outside_seedbed() -> FrameType | None:
    """The nearest frame that is not Seedbed's."""
    frame = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back
    return frame


def users_line(frame: FrameType | None) -> Place | None:
    """The user's line that this frame was called from, through whatever packages."""
    while frame and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame else None


def is_users(file: str) -> bool:
    """Whether it belongs neither to Python nor to an installed package."""
    not_users = (STANDARD_LIBRARY, "<frozen", *PASSED_THROUGH)
    return not file.startswith(not_users) and not any(folder in file for folder in PACKAGES)


def users_files() -> list[str]:
    """The source files of the user's modules; from the loaders, since a script's `__file__` is gone at exit."""
    loaders = (getattr(module, "__loader__", None) for module in list(sys.modules.values()))
    files = {path for path in (getattr(loader, "path", "") for loader in loaders) if isinstance(path, str)}
    return sorted(file for file in files if file.endswith(".py") and is_users(file))


def report() -> None:
    """What this process has found: into the file of `seedbed run --audit`, else on stderr."""
    from seedbed import info

    for file in users_files():
        for line, what in lint.unordered(file):
            if what != lint.CLOCK or ((file, line), what) not in places:  # it was passed, and counted
                note_at((file, line), what)
    found = [(file, line, what, count) for ((file, line), what), count in places.items()]
    undone = [f"{row.name} is {row.found} at exit, was set {row.wanted}" for row in info.undone()]
    if not collect({"places": found, "undone": undone}):
        show(rows(found), ["native generators are not watched: use seedbed run --audit", *undone])


def collect(found: dict) -> bool:
    """Hand it to `seedbed run --audit`; False: nobody collects."""
    try:
        with Path(os.environ[COLLECTED]).open("a") as together:
            together.write(json.dumps(found) + "\n")
    except (KeyError, OSError):
        return False
    return True


def rows(found: Iterable[tuple[str, int, str, int]]) -> list[str]:
    """A line for each place and what was found there, sorted; counts of the same are added up."""
    total: Counter[tuple[str, int, str]] = Counter()
    for file, line, what, count in found:
        total[file, line, what] += count
    return [
        f"{file}:{line}  {f'{count} times  ' if count > 1 else ''}{what}" if line else f"{file}  {what}"
        for (file, line, what), count in sorted(total.items())
    ]


def show(rows: list[str], rest: list[str]) -> None:
    """The report, on stderr."""
    boot.say(f"audit: places to look at: {len(rows) or 'none'}")
    for row in [*rows, *rest]:
        boot.say(row, prefix="  ")
