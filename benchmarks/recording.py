"""What recording and tracing cost: rounds of one training in fresh Pythons, watched and not, in one run.

Inside an image:
    docker run --rm -v $PWD:/workspace IMAGE python benchmarks/recording.py

All trainings of a round are the same, to the same bits; they take turns in going first. Whole processes are timed,
imports included: `wall` by the clock, `cpu` as the kernel counts it, which other load on the machine changes less.
They compute on one thread, since threads that wait for one another on a busy machine would count as work.
"""

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from costs import show
from seedbed.trace.journal import Plan

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = {"torch": "digits_torch.py", "tensorflow": "digits_tensorflow.py"}
ALL_STEPS = 10**9
PLAIN = "plain"
TRACED = {"landmarks": Plan(), "every operation": Plan(1, ALL_STEPS)}  # the two passes of seedbed trace
RECORDED = {"recorded": {}, "with states": {"SEEDBED_RECORD_STATES": "1"}}  # the latter as seedbed resume has it
KINDS = (PLAIN, *RECORDED, *TRACED)

Seconds = tuple[float, float]  # wall, cpu


@dataclass(frozen=True)
class Cost:
    """Medians over all rounds: seconds by the clock, and how many times those of the plain training of that round."""

    script: str
    kind: str
    epochs: int
    rounds: int
    wall_s: float
    wall_ratio: float
    cpu_ratio: float


def main() -> None:
    options = parse_arguments()
    scripts = [script for library, script in SCRIPTS.items() if importlib.util.find_spec(library)]
    costs = [cost for script in scripts for cost in measured(script, options.kinds, options.epochs, options.rounds)]
    show(costs, as_json=options.json)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data of each training (default: 20)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--kinds", nargs="+", choices=KINDS[1:], default=KINDS[1:], help="default: all")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measured(script: str, kinds: list[str], epochs: int, rounds: int) -> list[Cost]:
    """One round uncounted, to fill the caches, then `rounds` of them, each beginning with another kind."""
    kinds = [PLAIN, *kinds]
    timed = []
    for number in range(rounds + 1):
        first = number % len(kinds)
        timed.append({kind: seconds(script, kind, epochs) for kind in kinds[first:] + kinds[:first]})
    return [cost(script, kind, epochs, timed[1:]) for kind in kinds]


def cost(script: str, kind: str, epochs: int, timed: list[dict[str, Seconds]]) -> Cost:
    ratios = [[one[kind][clock] / one[PLAIN][clock] for one in timed] for clock in (0, 1)]
    wall = statistics.median(one[kind][0] for one in timed)
    return Cost(script, kind, epochs, len(timed), round(wall, 2), *(round(statistics.median(of), 3) for of in ratios))


def seconds(script: str, kind: str, epochs: int) -> Seconds:
    """Of one training."""
    with tempfile.TemporaryDirectory() as folder:
        took = elapsed([sys.executable, str(EXAMPLES / script), "--epochs", str(epochs)], variables(kind, Path(folder)))
        assert kind == PLAIN or list(Path(folder).glob("*.jsonl")), "nothing was watched: is the hook installed?"
        return took


def variables(kind: str, folder: Path) -> dict[str, str]:
    """The variables that have it watched."""
    if kind in TRACED:
        TRACED[kind].write(folder)
        return {"SEEDBED_TRACE": str(folder)}
    return {"SEEDBED_RECORD": str(folder), **RECORDED[kind]} if kind in RECORDED else {}


def elapsed(command: list[str], variables: dict[str, str]) -> Seconds:
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environ | variables, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
