"""numpy: the global generator, and every generator made without a seed.

`default_rng()`, `SeedSequence()`, `RandomState()` and the bit generators all ask `bit_generator.randbits` for entropy,
looked up at each call; it is not documented, so it is tried out before it is relied on.
"""

import functools
from collections.abc import Callable
from types import ModuleType

from seedbed import boot, process

missing = process.stream("numpy")


def configure(numpy_random: ModuleType) -> None:
    numpy_random.seed(process.seed("numpy"))
    process.follow("numpy", *note_seeds(numpy_random))
    derive_missing_seeds(numpy_random.bit_generator)


def note_seeds(numpy_random: ModuleType) -> tuple[Callable[[int], None], Callable[[], object]]:
    """Returns what seeds the global generator, and what tells which seed the user last gave to it."""
    with_seed = numpy_random.seed  # as numpy has it
    chosen = None

    @functools.wraps(with_seed)
    def seed(seed=None):
        nonlocal chosen
        chosen = seed
        with_seed(seed)

    def reseed(number: int) -> None:
        nonlocal chosen
        chosen = None
        with_seed(number)

    numpy_random.seed = seed
    return reseed, lambda: chosen


def derive_missing_seeds(bit_generator: ModuleType) -> None:
    """Take the entropy that nobody gave from a stream, or say that this numpy does not let us."""
    randbits = getattr(bit_generator, "randbits", None)
    bit_generator.randbits = lambda bits: 42
    if bit_generator.SeedSequence().entropy == 42:
        bit_generator.randbits = derived_bits
    else:
        bit_generator.randbits = randbits
        boot.say("numpy.random.default_rng() without a seed stays random: this version of numpy is unknown to Seedbed")


def derived_bits(bits: int) -> int:
    """The next number of the stream, 0 to 2**bits - 1."""
    return missing.getrandbits(bits)


def state(numpy_random: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words; the seed is there until 624 numbers have been drawn."""
    derived = numpy_random.bit_generator.randbits.__module__ == __name__
    return {
        "numpy.random.seed": str(numpy_random.get_state()[1][0]),
        "numpy.random.default_rng()": "derived from the seed" if derived else "random",
    }
