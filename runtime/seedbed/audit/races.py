"""SEEDBED_AUDIT=1: names the lines at which threads draw from one generator, in an order that is a race.

Tasks of pools of threads have generators of their own for `random` and numpy; what is left are threads that a program
starts itself, and the generators of torch and TensorFlow, which are not Python's to divide.
"""

import functools
import sys
import threading
from itertools import count
from types import ModuleType
from weakref import WeakKeyDictionary

from seedbed import callers
from seedbed.audit.notes import note_at
from seedbed.libraries import threads
from seedbed.libraries.random import LEFT
from seedbed.wrapping import around, before

FUNCTIONS = {  # module -> what draws from its global generator, as far as Python calls it
    "torch": "bernoulli multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm",
    "torch.Tensor": "bernoulli_ cauchy_ exponential_ geometric_ log_normal_ multinomial normal_ random_ uniform_",
    "torch.nn.functional": "alpha_dropout dropout dropout1d dropout2d dropout3d rrelu",
    "tensorflow.random": "categorical gamma normal poisson shuffle truncated_normal uniform",
    "tensorflow.nn": "dropout",
}
WAITING = ("threading.py", "queue.py", "selectors.py", "concurrent/futures/_base.py", "multiprocessing/pool.py")
IDLE = ("_worker", "worker")  # what the threads of pools are in when they have no task

_numbers = count(1)
_drawn: dict[str, dict[threading.Thread, "Draws"]] = {}
_drawn_own = WeakKeyDictionary()  # the same for generators of the user's own


class Draws:
    """The first and the latest draw of one thread from one generator, numbered across all threads."""

    def __init__(self, number: int) -> None:
        self.first = self.latest = number


def start() -> None:
    """Watch `random` and numpy from their import on, torch and TensorFlow from the first thread on."""
    threads.install()
    threads.drawn = drawn

    def note_beside(thread: threading.Thread) -> None:
        thread._seedbed_beside = threading.enumerate()
        watch_frameworks()

    before(threading.Thread, "start", note_beside)


def watch_frameworks() -> None:
    """Once for each: until a second thread starts, all their draws have an order."""
    for name in list(FUNCTIONS):
        library = name.partition(".")[0]
        if getattr(sys.modules.get(library), "random", None) is not None:
            owner = functools.reduce(getattr, name.split(".")[1:], sys.modules[library])
            watch_functions(owner, FUNCTIONS.pop(name).split(), library)


def watch_functions(owner: ModuleType | type, names: list[str], library: str) -> None:
    def note(*_: object, generator: object = None, **__: object) -> None:
        if generator is None:
            drawn(library)
        else:
            drawn_own(generator, library)

    for name in filter(functools.partial(hasattr, owner), names):
        before(owner, name, note)


def watch_random(random: ModuleType) -> None:
    """Generators of the user's own tell of each draw; not those left random, which draw names."""

    def note(generator: object, *_: object) -> None:
        if generator is not random._inst and LEFT not in generator.__dict__:
            drawn_own(generator, "random")

    for name in ("random", "getrandbits"):  # all others draw by these
        before(random.Random, name, note)


def watch_numpy(numpy_random: ModuleType) -> None:
    """Generators made by `default_rng` and `RandomState` tell of each draw; they draw what they would."""
    generator = telling(numpy_random.Generator)

    def default_rng(make, seed=None):
        made = make(seed)
        return generator(made.bit_generator) if type(made) is generator.__base__ and made is not seed else made

    around(numpy_random, "default_rng", default_rng)
    numpy_random.RandomState = telling(numpy_random.RandomState)


def telling(plain: type) -> type:
    """A class of numpy whose objects tell of each draw; those of the plain one count as objects of it."""

    class Telling(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, plain)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, plain)

    made = Telling(plain.__name__, (plain,), {"__module__": plain.__module__})
    for name in dir(plain):
        if not name.startswith("_") and callable(getattr(plain, name)):
            before(made, name, lambda generator, *_, **__: drawn_own(generator, "numpy"))
    return made


def drawn(library: str) -> None:
    """This thread draws from the global generator of a library."""
    note_race(f"the generator of {library}", _drawn.setdefault(library, {}))


def drawn_own(generator: object, library: str) -> None:
    """The same from a generator of the user's own."""
    try:
        draws = _drawn_own.setdefault(generator, {})
    except TypeError:  # C's own, which cannot be remembered: torch.default_generator
        drawn(library)
    else:
        note_race(f"a generator of {library}", draws)


def note_race(generator: str, all_draws: dict[threading.Thread, "Draws"]) -> None:
    """This thread draws from a generator: name the line if another thread draws from it at the same time."""
    thread, number = threading.current_thread(), next(_numbers)
    draws = all_draws.setdefault(thread, Draws(number))
    draws.latest = number
    if any(races(thread, draws, other, all_draws[other]) for other in list(all_draws) if other is not thread):
        place = user_place()
        if place:
            note_at(place, f"threads share {generator}: who draws which number is a race")


def races(thread: threading.Thread, draws: Draws, other: threading.Thread, others: Draws) -> bool:
    """Two threads that a program has started, if they were alive at once; the main thread, if it goes on drawing."""
    main = threading.main_thread()
    if main not in (thread, other):
        return other in getattr(thread, "_seedbed_beside", ()) or thread in getattr(other, "_seedbed_beside", ())
    return others.latest > draws.first and other.is_alive() and not waits(other)


def waits(thread: threading.Thread) -> bool:
    """Whether it waits for others, or for something to do."""
    frame = sys._current_frames().get(thread.ident)
    return frame is None or frame.f_code.co_filename.endswith(WAITING) or frame.f_code.co_name in IDLE


def user_place() -> callers.Place | None:
    """The nearest line of the user's; if there is none, the nearest outside Python and Seedbed."""
    frame, nearest = sys._getframe(2), None
    while frame:
        place = callers.place(frame)
        if callers.is_users(place[0]):
            return place
        if nearest is None and not place[0].startswith((callers.SEEDBED, callers.STANDARD_LIBRARY, "<frozen")):
            nearest = place
        frame = frame.f_back
    return nearest
