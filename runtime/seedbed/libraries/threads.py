"""What threads share: the global generators of `random` and numpy, which a task of a pool of threads has for itself.

Nothing is done until a pool with more than one thread has its first task. From then on each global generator hands
every call on to that of the task at which the calling thread is, if it is at one.
"""

import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import CellType, FunctionType, MemberDescriptorType, ModuleType

from seedbed import libraries, lineage, process


class Thread(threading.local):
    """What `seedbed.libraries.tasks` keeps for a thread."""

    task = None  # the one that it is at
    initial = None  # what the initializer of the thread's pool has seeded


drawn: Callable[[str], None] | None = None  # under audit: is told of each use of a generator that threads share
replaced: list[tuple[object, object]] = []  # the old, and what has taken its place


def install() -> None:
    """Have the global generators follow the threads, now or when their libraries are imported."""
    if lineage.thread is not None:
        return
    lineage.thread = Thread()
    for name in DISPATCHERS:
        if name in sys.modules:
            dispatch(name, sys.modules[name])
    libraries.watchers.append(dispatch)


def dispatch(name: str, module: ModuleType) -> None:
    if name in DISPATCHERS:
        DISPATCHERS[name](module)


def dispatch_random(random: ModuleType) -> None:
    """The global generator changes its class, so that whoever holds it, or a method of it, follows.

    Only `random.random` and `random.getrandbits` are C functions, which know no class: they are replaced.
    """
    shared = random._inst
    plain = type(shared)

    def own():
        return generator_of_task("random", lambda: plain(process.seed("random")))

    notes = {
        "seed": lambda a=None, version=2: process.note("random", a),
        "setstate": lambda state: process.note("random", lambda: process.digest(repr(state))),
    }
    methods = {
        **{name: handed_on(plain, name, own) for name in ("random", "getrandbits", "getstate")},
        **{name: handed_on(plain, name, own, note) for name, note in notes.items()},
        "gauss_next": property(  # the second of each pair of numbers that `gauss` makes
            lambda self: vars(own() or self)["gauss_next"],
            lambda self, number: vars(own() or self).update(gauss_next=number),
        ),
        "__reduce__": lambda self: (plain, (), self.getstate()),
    }
    old = [method for method in methods_of(shared) if is_of_class(method, plain)]
    shared.__class__ = type("Dispatching", (plain,), methods)
    replace((method, getattr(shared, method.__name__)) for method in old if method.__name__ in methods)


def dispatch_numpy(numpy_random: ModuleType) -> None:
    """The global generator is replaced, with its methods, wherever it is held."""
    shared, plain = numpy_random.mtrand._rand, numpy_random.RandomState

    def own():
        return generator_of_task("numpy", lambda: plain(numpy_random.MT19937(process.seed("numpy"))))

    names = ["__reduce__", "__getstate__"] + [name for name in dir(plain) if not name.startswith("_")]
    methods = {name: handed_on(plain, name, own) for name in names if callable(getattr(plain, name))}
    new = type("RandomState", (plain,), {**methods, "__module__": plain.__module__})(shared._bit_generator)
    plain.set_state(new, shared.get_state(legacy=False))
    old = [method for method in methods_of(shared) if method.__name__ in methods]
    replace([(shared, new), *((method, getattr(new, method.__name__)) for method in old)])


def generator_of_task(library: str, make: Callable[[], object]):
    """That of the task at which this thread is; None outside one."""
    if process.in_thread_task():
        return lineage.thread.task.generator(library, make)
    return drawn and drawn(library)


def handed_on(plain: type, name: str, own: Callable, note: Callable = lambda *_, **__: None) -> Callable:
    """A method that calls that of the task's generator, after `note`, and outside a task that of the plain class."""

    def call(self, *args, **kwargs):
        generator = own()
        if generator is None:
            return getattr(plain, name)(self, *args, **kwargs)
        note(*args, **kwargs)
        return getattr(generator, name)(*args, **kwargs)

    call.__name__, call.__doc__ = name, getattr(plain, name).__doc__
    return call


def methods_of(generator: object) -> list:
    """Its bound methods, whoever holds them: each time one is asked for, Python makes another."""
    return [held for held in gc.get_referrers(generator) if getattr(held, "__self__", None) is generator]


def is_of_class(method: object, plain: type) -> bool:
    """Whether it is what the class has under its name now: what it had before Seedbed changed it stays."""
    return getattr(method, "__func__", None) in (None, getattr(plain, method.__name__))


def replace(objects: Iterable[tuple[object, object]]) -> None:
    """Put the new in the place of the old wherever it is held, but in local variables.

    A bare tuple cannot change: another takes its place, in turn wherever it is held, as in a function's defaults.
    """
    replaced.extend(objects)
    new = {id(old): value for old, value in replaced}
    todo = [old for old, _ in replaced]
    ours = [id(todo), *map(id, replaced)]
    for module in list(sys.modules.values()):  # those that `gc.freeze` hides, too
        replace_in_dict(getattr(module, "__dict__", None), new)
    while todo:
        holders = [holder for holder in gc.get_referrers(*todo) if id(holder) not in ours]
        todo = [holder for holder in holders if type(holder) is tuple]
        ours += [id(holders), id(todo)]
        new.update((id(held), tuple(new.get(id(value), value) for value in held)) for held in todo)
        replace_in_classes([holder for holder in holders if isinstance(holder, dict)], new)
        for holder in holders:
            replace_in(holder, new)


def replace_in(holder: object, new: dict[int, object]) -> None:
    """In a list, a closure, a partial function, a function's defaults, or the attributes of an object.

    Also in lists and dicts that refuse changes, such as those of beartype: what is drawn there has to repeat, too.
    """
    if isinstance(holder, list):
        list.__setitem__(holder, slice(None), [new.get(id(value), value) for value in holder])
    elif isinstance(holder, CellType):
        holder.cell_contents = new.get(id(holder.cell_contents), holder.cell_contents)
    elif type(holder) is functools.partial:
        function, arguments, options = (new.get(id(held), held) for held in holder.__reduce__()[2][:3])
        holder.__setstate__((function, arguments, options, holder.__dict__))
    elif isinstance(holder, FunctionType):
        holder.__defaults__ = new.get(id(holder.__defaults__), holder.__defaults__)
    replace_in_dict(holder if isinstance(holder, dict) else getattr(holder, "__dict__", None), new)
    replace_in_slots(holder, new)


def replace_in_dict(names: object, new: dict[int, object]) -> None:
    if isinstance(names, dict):
        for name, value in list(names.items()):
            if id(value) in new:
                dict.__setitem__(names, name, new[id(value)])


def replace_in_slots(holder: object, new: dict[int, object]) -> None:
    slots = (slot for kind in type(holder).__mro__ for slot in vars(kind).values())
    for slot in slots:
        if isinstance(slot, MemberDescriptorType):
            with suppress(AttributeError, TypeError):  # it is empty, or C's own
                if id(value := slot.__get__(holder)) in new:
                    slot.__set__(holder, new[id(value)])


def replace_in_classes(dicts: list[dict], new: dict[int, object]) -> None:
    """Python remembers what it has found in a class, so its dictionary must not change behind its back."""
    for kind in gc.get_referrers(*dicts) if dicts else ():
        if isinstance(kind, type):
            for name, value in list(vars(kind).items()):
                if id(value) in new:
                    with suppress(TypeError):  # C's own
                        setattr(kind, name, new[id(value)])


def current(held: object) -> object:
    """What has taken the place of a method that the caller still holds in a local variable."""
    return next((value for old, value in replaced if old is held), held)


DISPATCHERS = {"random": dispatch_random, "numpy.random": dispatch_numpy}
