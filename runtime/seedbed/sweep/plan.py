"""What a sweep is to run, and which numbers it is about: from the options of `seedbed sweep`."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from seedbed import environment
from seedbed.recording import facts
from seedbed.settings import LARGEST_SEED
from seedbed.sweep.metric import Metric

MOST = 100_000  # seeds


@dataclass(frozen=True)
class Plan:
    """What to run: `{seed}` and `{folder}` in the command stand for each run's own. `parallel`: how many at a time.

    `mode` and `threads` are None where those of this environment count.
    """

    command: tuple[str, ...]
    seeds: tuple[int, ...]
    folder: Path
    mode: str | None = None
    threads: str | None = None
    parallel: int = 1

    def environ(self, seed: int) -> dict[str, str]:
        """ValueError: see `environment.for_command`."""
        return environment.for_command(
            os.environ, SEEDBED_SEED=str(seed), SEEDBED_MODE=self.mode, OMP_NUM_THREADS=self.threads
        )

    def run_folder(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}"

    def filled(self, word: str, seed: int) -> str:
        return word.replace("{seed}", str(seed)).replace("{folder}", str(self.run_folder(seed)))


def plan_of(options: argparse.Namespace, command: list[str]) -> Plan:
    """Runs at the same time share the CPUs. ValueError: no seeds, or mode off, which seeds nothing."""
    seeds = seeds_of(options)
    wanted = 1 if options.parallel is None else options.parallel or len(gpus()) or environment.available_cpus()
    parallel = min(len(seeds), wanted)
    threads = str(max(1, environment.available_cpus() // parallel)) if parallel > 1 else None
    plan = Plan(tuple(command), seeds, options.output, options.mode, threads, parallel)
    refuse_off(plan.environ(seeds[0]))
    return plan


def seeds_of(options: argparse.Namespace) -> tuple[int, ...]:
    """`5`: so many, from SEEDBED_SEED on; `1,7,42`: these. ValueError: neither."""
    words = options.seeds.split(",")
    if not all(map(environment.is_seed, words)) or (len(words) == 1 and not 0 < int(words[0]) <= MOST):
        raise ValueError(f"--seeds {options.seeds}: expected how many, as in 5, or which, as in 1,7,42")
    if len(words) > 1:
        return tuple(dict.fromkeys(map(int, words)))
    first = environment.seed(os.environ, 0)
    return tuple((first + number) % (LARGEST_SEED + 1) for number in range(int(words[0])))


def refuse_off(environ: dict[str, str]) -> None:
    """ValueError: mode off, which seeds nothing."""
    if environment.mode(environ) == "off":
        raise ValueError("mode off seeds nothing: sweep in mode strict or warn")


def metrics_of(options: argparse.Namespace) -> list[Metric]:
    if options.pattern and options.file:
        raise ValueError("expected --pattern or --file, found both: a metric comes from one of them")
    names = options.metric or ["value" if options.pattern else "loss"]
    if options.pattern and len(names) > 1:
        raise ValueError(f"--pattern finds one metric, found {len(names)}: {', '.join(names)}")
    return [Metric(name, options.pattern, options.file) for name in dict.fromkeys(names)]


def passed_on(options: argparse.Namespace) -> list[str]:
    """The options that make this sweep what it is, for other machines; seed and mode are variables."""
    found = [("seeds", options.seeds), ("output", options.output)]
    found += [("metric", name) for name in options.metric or []]
    found += [(name, value) for name in ("pattern", "file") if (value := getattr(options, name))]
    return [f"--{name}={value}" for name, value in found]


def gpus() -> list[str]:
    """Those that a script may use, as CUDA_VISIBLE_DEVICES has them."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name]
    return [str(number) for number in range(len(facts.graphics()[0]))]
