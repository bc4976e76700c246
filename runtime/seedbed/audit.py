"""SEEDBED_AUDIT=1: says at exit what stays unrepeatable, what only Seedbed makes repeatable, and what was undone.

Each place is named once, as file:line, with how often it was passed. Children of multiprocessing report nothing.
"""

import atexit
import functools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from seedbed import boot, lint

THANKS_TO_SEEDBED = "made without a seed; repeats only thanks to Seedbed"
OWN = str(Path(__file__).parent)
CONSTANT_GENERATOR = "torch.Generator() never given a seed: the same numbers under every SEEDBED_SEED"
STANDARD_LIBRARY = str(Path(os.__file__).parent)
PASSED_THROUGH = (OWN, *(f"{STANDARD_LIBRARY}/{name}.py" for name in ("random", "secrets", "uuid")))
PACKAGES = ("/site-packages/", "/dist-packages/")
DAY = 86400  # seconds

Place = tuple[str, int]  # file, line
places: Counter[tuple[Place, str]] = Counter()


def start() -> None:
    """Watch the operating system's entropy, and report at exit. Libraries are watched as they are configured."""
    if not boot.is_program():
        return
    watch_call(os, "urandom", lambda *_: note("os.urandom, uuid4 or secrets: random on purpose"))
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


def watch_numpy(numpy_random: ModuleType) -> None:
    watch_call(numpy_random.bit_generator, "randbits", lambda _: note(f"numpy generator {THANKS_TO_SEEDBED}"))
    for name in ("seed", "default_rng"):
        watch_call(numpy_random, name, lambda seed=None, *_, **__: seed is not None and note_seed(seed))


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


def note_seed(seed: object = None) -> None:
    """No seed at all, or one that is the time of day (in s, ms, µs or ns)."""
    if seed is None:
        note(f"generator {THANKS_TO_SEEDBED}")
    elif isinstance(seed, int | float) and any(abs(seed / unit - time.time()) < DAY for unit in (1, 1e3, 1e6, 1e9)):
        note("seeded from the clock: another result in every run")


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
    """All places on stderr, sorted; then the flags that no longer are as they were set."""
    from seedbed import info

    for file in users_files():
        for line, what in lint.unordered(file):
            note_at((file, line), what)
    boot.say(f"audit: places to look at: {len(places) or 'none'}")
    for ((file, line), what), count in sorted(places.items()):
        print(f"  {file}:{line}  {f'{count} times  ' if count > 1 else ''}{what}", file=sys.stderr)
    for row in info.undone():
        print(f"  {row.name} is {row.found} at exit, was set {row.wanted}", file=sys.stderr)
