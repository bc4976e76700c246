"""What threads share: the global generators of `random` and numpy, which a task of a pool of threads has for itself.

Nothing is done until a pool with more than one thread has its first task. From then on each global generator hands
every call on to that of the task at which the calling thread is, if it is at one.
"""

import gc
import sys
import threading
from collections.abc import Callable
from types import ModuleType

from seedbed import boot, process


class Thread(threading.local):
    """What `seedbed.tasks` keeps for a thread while it is at a task. An empty place: it is at none."""

    place = ""
    forks = 0
    initial = None  # what the initializer of the thread's pool has seeded


drawn: Callable[[str], None] | None = None  # under audit: is told of each use of a generator that threads share


def install() -> None:
    """Have the global generators follow the threads, now or when their libraries are imported."""
    if boot.thread is not None:
        return
    boot.thread = Thread()
    for name in DISPATCHERS:
        if name in sys.modules:
            dispatch(name, sys.modules[name])
    boot.watchers.append(dispatch)


def dispatch(name: str, module: ModuleType) -> None:
    if name in DISPATCHERS:
        DISPATCHERS[name](module)


def dispatch_random(random: ModuleType) -> None:
    """The global generator changes its class, so that whoever holds it, or a method of it, follows.

    Only `random.random` and `random.getrandbits` are C functions, which know no class: they are replaced.
    """
    shared = random._inst
    plain = type(shared)
    bound = {name: value for name, value in vars(random).items() if getattr(value, "__self__", None) is shared}

    def own():
        """The generator of the task, None outside one."""
        if not process.in_thread_task():
            return drawn and drawn("random")
        generators = boot.thread.generators
        if "random" not in generators:
            generators["random"] = plain(process.seed("random"))
        return generators["random"]

    class Dispatching(plain):
        def random(self):
            generator = own()
            return plain.random(self) if generator is None else generator.random()

        def getrandbits(self, k):
            generator = own()
            return plain.getrandbits(self, k) if generator is None else generator.getrandbits(k)

        def seed(self, a=None, version=2):
            generator = own()
            if generator is None:
                return plain.seed(self, a, version)
            process.note("random", a)
            return generator.seed(a, version)

        def getstate(self):
            generator = own()
            return plain.getstate(self) if generator is None else generator.getstate()

        def setstate(self, state):
            generator = own()
            if generator is None:
                return plain.setstate(self, state)
            process.note("random", lambda: process.digest(repr(state)))
            return generator.setstate(state)

        @property
        def gauss_next(self):
            """The second of each pair of numbers that `gauss` makes."""
            generator = own()
            return self.__dict__["gauss_next"] if generator is None else generator.gauss_next

        @gauss_next.setter
        def gauss_next(self, number):
            generator = own()
            if generator is None:
                self.__dict__["gauss_next"] = number
            else:
                generator.gauss_next = number

        def __reduce__(self):
            return plain, (), self.getstate()

    shared.__class__ = Dispatching
    replace({value: getattr(shared, name) for name, value in bound.items()})


def dispatch_numpy(numpy_random: ModuleType) -> None:
    """The global generator is replaced, with its methods, wherever it is held."""
    shared, plain = numpy_random.mtrand._rand, numpy_random.RandomState

    def own():
        """The generator of the task, None outside one."""
        if not process.in_thread_task():
            return drawn and drawn("numpy")
        generators = boot.thread.generators
        if "numpy" not in generators:
            generators["numpy"] = plain(numpy_random.MT19937(process.seed("numpy")))
        return generators["numpy"]

    def dispatching(name: str):
        method = getattr(plain, name)

        def call(self, *args, **kwargs):
            generator = own()
            return method(self, *args, **kwargs) if generator is None else getattr(generator, name)(*args, **kwargs)

        call.__name__, call.__doc__ = name, method.__doc__
        return call

    names = ["__reduce__", "__getstate__"] + [name for name in dir(plain) if not name.startswith("_")]
    methods = {name: dispatching(name) for name in names if callable(getattr(plain, name))}
    new = type("RandomState", (plain,), {**methods, "__module__": plain.__module__})(shared._bit_generator)
    plain.set_state(new, shared.get_state())
    bound = [value for value in vars(numpy_random.mtrand).values() if getattr(value, "__self__", None) is shared]
    replace({value: getattr(new, value.__name__) for value in bound})
    replace_held(shared, new)


def replace(objects: dict) -> None:
    """Put the new in the place of the old in every module, as `from random import random` has left them there."""
    new = {id(old): value for old, value in objects.items()}
    for module in list(sys.modules.values()):
        replace_in(getattr(module, "__dict__", None), new)


def replace_held(old: object, value: object) -> None:
    """The same for one object, in whatever holds it by a name, such as the distributions of scipy."""
    for holder in gc.get_referrers(old):
        replace_in(holder if isinstance(holder, dict) else getattr(holder, "__dict__", None), {id(old): value})


def replace_in(names: object, new: dict[int, object]) -> None:
    if isinstance(names, dict):
        for name, value in list(names.items()):
            if id(value) in new:
                names[name] = new[id(value)]


DISPATCHERS = {"random": dispatch_random, "numpy.random": dispatch_numpy}
