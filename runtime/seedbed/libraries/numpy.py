"""numpy: the global generator, and every generator made without a seed.

`default_rng()`, `SeedSequence()`, `RandomState()` and the bit generators all ask `bit_generator.randbits` for entropy,
looked up at each call; it is not documented, so it is tried out before it is relied on.
"""

from types import ModuleType

from seedbed import process, terminal
from seedbed.wrapping import after, before

missing = process.stream("numpy")


def configure(numpy_random: ModuleType) -> None:
    reseed = numpy_random.seed  # as numpy has it
    reseed(process.seed("numpy"))
    note_seeds(numpy_random)
    process.follow("numpy", reseed, locked=lambda: is_locked(numpy_random))
    derive_missing_seeds(numpy_random.bit_generator)


def is_locked(numpy_random: ModuleType) -> bool:
    lock = numpy_random.mtrand._rand._bit_generator.lock
    free = lock.acquire(blocking=False)
    if free:
        lock.release()
    return not free


def note_seeds(numpy_random: ModuleType) -> None:
    """Note what the user gives to the global generator: a seed, or a state that was saved before."""

    def note_restored(*_: object) -> None:
        restored = numpy_random.get_state(legacy=False)
        process.note("numpy", lambda: process.digest(text(restored)))

    before(numpy_random, "seed", lambda seed=None: process.note("numpy", seed))
    if hasattr(numpy_random, "set_state"):
        after(numpy_random, "set_state", note_restored)


def text(state: dict | list) -> str:
    """The numbers of a state, of whichever bit generator, whatever numpy's print options are."""
    numbers = state.tolist() if hasattr(state, "tolist") else state
    return " ".join(map(text, numbers.values())) if isinstance(numbers, dict) else str(numbers)


def derive_missing_seeds(bit_generator: ModuleType) -> None:
    """Take the entropy that nobody gave from a stream, or say that this numpy does not let us."""
    randbits = getattr(bit_generator, "randbits", None)
    bit_generator.randbits = lambda bits: 42
    if bit_generator.SeedSequence().entropy == 42:
        bit_generator.randbits = derived_bits
    else:
        bit_generator.randbits = randbits
        terminal.log(
            "numpy.random.default_rng() without a seed stays random: this version of numpy is unknown to Seedbed"
        )


def derived_bits(bits: int) -> int:
    """The next number of the stream, 0 to 2**bits - 1."""
    return missing.getrandbits(bits)


def state(numpy_random: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words; the seed is there until 624 numbers have been drawn."""
    found = numpy_random.get_state(legacy=False)
    derived = numpy_random.bit_generator.randbits.__module__ == __name__
    return {
        "numpy.random.seed": str(found["state"]["key"][0]) if found["bit_generator"] == "MT19937" else "random",
        "numpy.random.default_rng()": "derived from the seed" if derived else "random",
    }
