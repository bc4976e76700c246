"""Small programs with one planted divergence each, and clean ones; `verify` and `trace` are tried on all of them."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
MARK = "# planted"


@dataclass(frozen=True)
class Program:
    """`file` is what is run, with `python` or `sh`, in an image (pytorch or tensorflow) and a mode.

    `culprit` is what a trace has to name: the file and line that are marked, or a variable of the environment. `hunt`
    is the one change that has to help, where a hunt is tried.
    """

    file: Path
    image: str
    mode: str = "strict"
    culprit: str = ""
    hunt: str = ""

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def command(self) -> list[str]:
        """As it is run beside the folders of this package."""
        return ["sh" if self.file.suffix == ".sh" else "python", str(self.file.relative_to(HERE))]


def planted(file: str, image: str = "pytorch", *, mode: str = "strict", culprit: str = "", hunt: str = "") -> Program:
    """With the place of the line that is marked in its source, unless another culprit is given."""
    path = HERE / "planted" / file
    lines = path.read_text().splitlines()
    (marked,) = [number for number, line in enumerate(lines, start=1) if line.endswith(MARK)]
    return Program(path, image, mode, culprit or f"planted/{file}:{marked}", hunt)


def clean(file: str, image: str = "pytorch") -> Program:
    return Program(HERE / "clean" / file, image)


PLANTED = (
    planted("unseeded_generator.py"),
    planted("clock_as_seed.py", "tensorflow"),
    planted("fork_without_reseed.py", hunt="workers"),
    planted("threaded_sum.py"),
    planted("workers_by_arrival.py"),
    planted("set_order.py"),
    planted("uninitialised_memory.py"),
    planted("nondeterministic_operation.py", mode="warn", hunt="threads"),
    planted("changing_file.py", "tensorflow"),
    planted("environment.sh", culprit="the environment variable NOISE"),
    planted("parallel_map.py", "tensorflow", mode="warn"),
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
    clean("keras_fit.py", "tensorflow"),
    clean("tensorflow_loop.py", "tensorflow"),
)
