"""What recording costs: pairs of one training in fresh Pythons, recorded and not, in one run.

Inside an image:
    docker run --rm -v $PWD:/workspace IMAGE python benchmarks/recording.py

Both of a pair do the same training to the same bits; they take turns in going first. Whole processes are timed,
imports included: `wall` by the clock, `cpu` as the kernel counts it, which other load on the machine changes less.
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = {"torch": "digits_torch.py", "tensorflow": "digits_tensorflow.py"}


@dataclass(frozen=True)
class Cost:
    """Medians over all pairs; seconds, and recorded over not recorded."""

    script: str
    epochs: int
    pairs: int
    wall: float
    wall_recorded: float
    wall_ratio: float
    cpu_ratio: float


def main() -> None:
    options = parse_arguments()
    scripts = [script for library, script in SCRIPTS.items() if importlib.util.find_spec(library)]
    costs = [cost(script, options.epochs, options.pairs) for script in scripts]
    print(json.dumps([asdict(cost) for cost in costs], indent=2) if options.json else table(costs))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data of each training (default: 20)")
    parser.add_argument("--pairs", type=int, default=5, help="default: 5")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def cost(script: str, epochs: int, pairs: int) -> Cost:
    """One pair uncounted, to fill the caches, then `pairs` of them."""
    timed = [pair(script, epochs, plain_first=bool(number % 2)) for number in range(pairs + 1)][1:]
    return Cost(
        script,
        epochs,
        pairs,
        round(statistics.median(plain[0] for plain, _ in timed), 2),
        round(statistics.median(recorded[0] for _, recorded in timed), 2),
        round(statistics.median(recorded[0] / plain[0] for plain, recorded in timed), 3),
        round(statistics.median(recorded[1] / plain[1] for plain, recorded in timed), 3),
    )


def pair(script: str, epochs: int, *, plain_first: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Seconds (wall, cpu) of the training as it is, and recorded."""
    if plain_first:
        plain = elapsed(script, epochs, None)
        return plain, recorded(script, epochs)
    first = recorded(script, epochs)
    return elapsed(script, epochs, None), first


def recorded(script: str, epochs: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        seconds = elapsed(script, epochs, folder)
        assert any(Path(folder).iterdir()), "nothing was recorded: is the start-up layer installed?"
        return seconds


def elapsed(script: str, epochs: int, record: str | None) -> tuple[float, float]:
    """Wall and CPU seconds of one training."""
    environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({"SEEDBED_RECORD": record} if record else {})
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, str(EXAMPLES / script), "--epochs", str(epochs)]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def table(costs: list[Cost]) -> str:
    rows = [("training", "epochs", "pairs", "plain", "recorded", "ratio (wall)", "ratio (cpu)")]
    for c in costs:
        seconds = (f"{c.wall} s", f"{c.wall_recorded} s")
        rows.append((c.script, str(c.epochs), str(c.pairs), *seconds, f"{c.wall_ratio:.3f}", f"{c.cpu_ratio:.3f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()
