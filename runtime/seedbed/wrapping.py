"""One way to put something around a function of somebody else's: in its place stands one that calls it."""

import functools
from collections.abc import Callable


class StandIn(type):
    """The type of a subclass that stands where `stands_for`, another class, did: it has the same instances."""

    def __instancecheck__(cls, instance: object) -> bool:
        original = cls.__dict__.get("stands_for")
        return isinstance(instance, original) if original else super().__instancecheck__(instance)


def around(owner: object, name: str, call: Callable) -> Callable:
    """Have `call(original, *args, **kwargs)` called for each call of `owner.name`. Returns what stands there now."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args, **kwargs):
        return call(original, *args, **kwargs)

    setattr(owner, name, wrapped)
    return wrapped


def before(owner: object, name: str, note: Callable[..., object]) -> None:
    """Have `note` called with the arguments of each call of `owner.name`, before it."""

    def call(original, /, *args, **kwargs):
        note(*args, **kwargs)
        return original(*args, **kwargs)

    around(owner, name, call)


def after(owner: object, name: str, note: Callable[..., object]) -> None:
    """Have `note` called with the result and the arguments of each call of `owner.name`."""

    def call(original, /, *args, **kwargs):
        result = original(*args, **kwargs)
        note(result, *args, **kwargs)
        return result

    around(owner, name, call)
