"""Python's `random`: the global generator, generators made without a seed, and forked children.

CPython reseeds the global generator of every forked child from the operating system's entropy. Ours is registered
later and so runs after it; it starts from the parent's state, so that a seed the user has set reaches the children.
"""

import functools
import os
import sys
from collections.abc import Callable
from types import ModuleType

from seedbed import callers, lineage, names, process
from seedbed.wrapping import before

LEFT = "_seedbed_left_random"  # in the `__dict__` of a generator
CAN_DRAW_IDENTIFIERS = ("choice", "choices", "sample", "getrandbits", "randbytes", "randrange", "randint")
IDENTIFIER_BITS = 64
IDENTIFIER_CHARACTERS = 24  # so many different letters and digits are an alphabet, such as base58
ALPHABETS = (frozenset("0123456789"), frozenset("abcdefghijklmnopqrstuvwxyz"), frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
LONGEST_ALPHABET = 128

on_left = None  # `seedbed.audit` is told of each generator left random that it should name


def configure(random: ModuleType) -> None:
    reseed = random._inst.seed  # as Python has it
    reseed(process.seed("random"))
    derive_missing_seeds(random)
    process.follow("random", reseed)
    reseed_forked_children(random, reseed)


def derive_missing_seeds(random: ModuleType) -> None:
    """`Random()` and `seed()` without a seed take the next number of a stream, unless they are to make names.

    SystemRandom has a `seed` of its own. What the user gives to the global generator is noted.
    """
    with_seed = random.Random.seed
    missing = process.stream("random.Random")

    def seed(self, a=None, version=2):
        if self is random._inst:
            process.note("random", a)
        elif a is None and stays_random(self):
            return with_seed(self)
        number = missing.getrandbits(128) if a is None else a
        with_seed(self, number, version)
        if a is None and type(self) is random.Random and self is not random._inst and callers.maker() == callers.USER:
            watch_first_draw(self, number, with_seed)
        elif self is not random._inst:
            forget_first_draw(self)

    def note_restored(generator, state) -> None:
        if generator is random._inst:
            process.note("random", lambda: process.digest(repr(state)))

    seed.__doc__ = with_seed.__doc__
    random.Random.seed = seed
    before(random.Random, "setstate", note_restored)
    random.seed, random.setstate = random._inst.seed, random._inst.setstate


def stays_random(generator) -> bool:
    """Whether the generator without a seed is made for names; once it is, it stays so, whoever seeds it again."""
    if LEFT in generator.__dict__:
        return True
    maker = callers.maker()
    kind = names.kind(maker)
    if kind == "sampler":
        return False
    generator.__dict__[LEFT] = True
    if kind == "unknown" and on_left:
        package = maker.partition(".")[0]
        on_left(f"random.Random() without a seed, in {maker}, is random: {names.SAMPLERS_OPTION}={package} seeds it")
    return True


def watch_first_draw(generator, number: int, with_seed: Callable) -> None:
    """A generator of the user's own whose first draw is an identifier goes over to the operating system's entropy."""

    def first_draw(name: str, *arguments, **options):
        forget_first_draw(generator)
        from_python = sys._getframe(1).f_code.co_filename == sys.modules["random"].__file__  # randint, shuffle
        if not from_python and is_identifier(name, *arguments) and has_not_drawn(generator, number):
            with_seed(generator)
            generator.__dict__[LEFT] = True
            if on_left:
                on_left(f"its first draw is an identifier, so it is random: {names.SAMPLERS_OPTION}=__main__ seeds it")
        return getattr(generator, name)(*arguments, **options)

    if callers.USER not in names.listed(names.SAMPLERS_OPTION):
        generator.__dict__.update({name: functools.partial(first_draw, name) for name in CAN_DRAW_IDENTIFIERS})


def forget_first_draw(generator) -> None:
    for name in CAN_DRAW_IDENTIFIERS:
        generator.__dict__.pop(name, None)


def has_not_drawn(generator, number: int) -> bool:
    return generator.getstate() == type(generator)(number).getstate()


def is_identifier(name: str, what: object = None, stop: object = None, *_: object) -> bool:
    """Whether the draw has the form of one: characters of an alphabet, bytes, or as many bits as a trace ID has."""
    if name == "randbytes":
        return True
    if name in ("randrange", "randint"):
        start, end = (0, what) if stop is None else (what, stop)
        return (
            isinstance(start, int)
            and isinstance(end, int)
            and end - start + (name == "randint") >= 1 << IDENTIFIER_BITS
        )
    if name == "getrandbits":
        return isinstance(what, int) and what >= IDENTIFIER_BITS
    return isinstance(what, str | list | tuple) and len(what) <= LONGEST_ALPHABET and has_alphabet(what)


def has_alphabet(population: str | list | tuple) -> bool:
    """Whether all digits, all letters, or many of both are in it: the letters of DNA and proteins are no alphabet."""
    if not all(isinstance(character, str) and len(character) == 1 for character in population):
        return False
    characters = {character for character in population if character.isascii() and character.isalnum()}
    return len(characters) >= IDENTIFIER_CHARACTERS or any(map(characters.issuperset, ALPHABETS))


def reseed_forked_children(random: ModuleType, reseed: Callable[[str], None]) -> None:
    """A child's global generator follows from its parent's state and from which fork it is."""
    parent = 0

    def remember() -> None:
        nonlocal parent
        parent = hash(random.getstate()[1])

    os.register_at_fork(before=remember, after_in_child=lambda: reseed(f"{parent} {lineage.common_place()}"))


def state(random: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words. The seed cannot be read back: it is as old as the import."""
    derived = random.Random.seed.__module__ == __name__
    return {
        "random.seed": str(process.seed()) if derived else "random",
        "random.Random()": "derived from the seed" if derived else "random",
    }
