"""Small programs with one planted divergence each, and clean ones; `verify` and `trace` are tried on all of them."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MARK = "# planted"


@dataclass(frozen=True)
class Program:
    """`file` is what is run, with `python` or `sh`, in an image (pytorch or tensorflow) and a mode.

    `named` are the words by which a trace has to name the culprit: a place, or a variable of the environment.
    """

    file: Path
    image: str
    mode: str
    named: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def command(self) -> list[str]:
        return ["sh" if self.file.suffix == ".sh" else "python", str(self.file)]


def planted(file: str, image: str = "pytorch", mode: str = "strict", named: tuple[str, ...] = ()) -> Program:
    """With the place of the line that is marked in its source, unless other words are given."""
    path = HERE / "planted" / file
    lines = path.read_text().splitlines()
    places = tuple(f"{file}:{number}" for number, line in enumerate(lines, start=1) if line.endswith(MARK))
    return Program(path, image, mode, named or places)


def clean(file: str, image: str = "pytorch") -> Program:
    return Program(HERE / "clean" / file, image, "strict")


PLANTED = (
    planted("unseeded_generator.py"),
    planted("clock_as_seed.py"),
    planted("fork_without_reseed.py"),
    planted("threaded_sum.py"),
    planted("workers_by_arrival.py"),
    planted("set_order.py"),
    planted("uninitialised_memory.py"),
    planted("nondeterministic_operation.py", mode="warn"),
    planted("changing_file.py"),
    planted("environment.sh", named=("environment variable NOISE",)),
    planted("parallel_map.py", image="tensorflow", mode="warn"),
)
CLEAN = (
    clean("clock_in_names.py"),
    clean("padded_batches.py"),
    clean("shuffled_loader.py"),
    clean("forked_loader.py"),
    clean("sorted_sets.py"),
    clean("own_loop.py"),
    clean("checkpointed.py"),
    clean("compiled.py"),
    clean("keras_fit.py", image="tensorflow"),
    clean("tensorflow_loop.py", image="tensorflow"),
)
