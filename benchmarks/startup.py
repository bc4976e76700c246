"""What the startup hook costs: pairs of fresh Pythons, with it and without, in one run.

Inside an image:
    docker run --rm -v $PWD/benchmarks:/benchmarks IMAGE python /benchmarks/startup.py

Both of a pair start with -S and then do what Python does at start (`site.main()`); the one without the hook is told
first that the hook is loaded already. They take turns in going first.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from costs import show

START = "import sys, site; site.main()\n"
START_WITHOUT = "import sys, site; sys.modules['seedbed'] = sys.modules['seedbed.boot'] = sys; site.main()\n"


@dataclass(frozen=True)
class Cost:
    """Medians over all pairs; times in milliseconds."""

    program: str
    pairs: int
    without_ms: float
    with_ms: float
    difference_ms: float
    ratio: float


def main() -> None:
    options = parse_arguments()
    costs = [cost("pass", options.pairs)]
    for library in ("random", "numpy", "torch", "tensorflow"):
        if importlib.util.find_spec(library):
            slow = library in ("torch", "tensorflow")
            costs.append(cost(f"import {library}", options.slow_pairs if slow else options.pairs))
    show(costs, as_json=options.json)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=50, help="pairs of Pythons for each program (default: 50)")
    parser.add_argument("--slow-pairs", type=int, default=10, help="the same for torch and tensorflow (default: 10)")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def cost(program: str, pairs: int) -> Cost:
    """One pair uncounted, to fill the caches, then `pairs` of them."""
    seconds = [pair(program, without_first=bool(number % 2)) for number in range(pairs + 1)][1:]
    return Cost(
        program,
        pairs,
        round(1e3 * statistics.median(without for without, _ in seconds), 2),
        round(1e3 * statistics.median(hooked for _, hooked in seconds), 2),
        round(1e3 * statistics.median(hooked - without for without, hooked in seconds), 2),
        round(statistics.median(hooked / without for without, hooked in seconds), 4),
    )


def pair(program: str, *, without_first: bool) -> tuple[float, float]:
    """Seconds without the hook, and with it."""
    starts = (START_WITHOUT, START) if without_first else (START, START_WITHOUT)
    seconds = {start: elapsed(start + program) for start in starts}
    return seconds[START_WITHOUT], seconds[START]


def elapsed(code: str) -> float:
    """Seconds that a fresh Python takes to run the code and end."""
    environ = {**os.environ, "PYTHONHASHSEED": "42", "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", code], env=environ, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
