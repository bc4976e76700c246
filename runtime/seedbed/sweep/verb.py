"""The verb: from its options to the table and the files that a sweep leaves in its folder."""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from seedbed import environment, files, terminal
from seedbed.recording import facts
from seedbed.recording.record import Record
from seedbed.settings import LARGEST_SEED
from seedbed.sweep import metric, page, png, runs, summary, svg
from seedbed.sweep.figure import figure
from seedbed.sweep.metric import Metric
from seedbed.sweep.runs import Plan
from seedbed.sweep.summary import Curves, Summary

# Of a seed, with so many threads; None: as many as there are CPUs.
Environ = Callable[[int, str | None], dict[str, str]]
Log = Callable[[str], None]
MOST = 100_000  # seeds


def sweep(metrics: list[Metric], plan: Plan, log: Log, *, as_json: bool = False) -> int:
    """Run what has not ended, and make the table. Status 0: every seed has a result, 1: not. ValueError: wrong use."""
    return tabulate(metrics, plan, runs.sweep(plan, log), log, as_json=as_json)


def one(plan: Plan, index: int, log: Log) -> int:
    """Run one seed, the first is 0, while others run theirs. Status 0: it ended well, 1: not. ValueError: wrong use."""
    if not 0 <= index < len(plan.seeds):
        raise ValueError(f"--only {index}: expected 0 to {len(plan.seeds) - 1}, one of the {len(plan.seeds)} seeds")
    return 0 if runs.one(plan, plan.seeds[index], log).status == 0 else 1


def table(metrics: list[Metric], plan: Plan, log: Log, *, as_json: bool = False) -> int:
    """Make the table of what has ended, and run nothing. Status 0: every seed has a result, 1: not."""
    return tabulate(metrics, plan, runs.ended(plan, log), log, as_json=as_json)


def tabulate(metrics: list[Metric], plan: Plan, found: dict[int, Record], log: Log, *, as_json: bool) -> int:
    curves = read_curves(plan, metrics, {seed: run for seed, run in found.items() if run.status == 0}, log)
    whole = [seed for seed in plan.seeds if all(seed in curve for curve in curves.values())]
    if not whole:
        log("sweep: no seed has a result")
        return 1
    missing = [seed for seed in plan.seeds if seed not in whole]
    summaries = [summary.summary(name, {seed: curve[seed] for seed in whole}) for name, curve in curves.items()]
    told = summaries, describe(plan, [found[seed] for seed in whole]), missing
    left_out = write(plan.folder, *told)
    terminal.show(summary.as_json(*told) if as_json else summary.as_text(summaries))
    for said in [*summary.warnings(summaries, missing), *other_hardware(found), *left_out]:
        log(f"note: {said}")
    log(f"plots and tables: {plan.folder}/")
    return 1 if missing else 0


def metrics_of(options: argparse.Namespace) -> list[Metric]:
    if options.pattern and options.file:
        raise ValueError("expected --pattern or --file, found both: a metric comes from one of them")
    names = options.metric or ["value" if options.pattern else "loss"]
    if options.pattern and len(names) > 1:
        raise ValueError(f"--pattern finds one metric, found {len(names)}: {', '.join(names)}")
    return [Metric(name, options.pattern, options.file) for name in dict.fromkeys(names)]


def plan_of(options: argparse.Namespace, command: list[str], environ: Environ) -> Plan:
    """Runs at the same time share the CPUs. ValueError: no seeds, or mode off, which seeds nothing."""
    seeds = seeds_of(options.seeds, environment.seed(dict(os.environ), 0))
    wanted = 1 if options.parallel is None else options.parallel or len(runs.gpus()) or environment.available_cpus()
    parallel = min(len(seeds), wanted)
    threads = str(max(1, environment.available_cpus() // parallel)) if parallel > 1 else None
    refuse_off(environ(seeds[0], threads))
    return Plan(tuple(command), seeds, options.output, lambda seed: environ(seed, threads), parallel)


def refuse_off(environ: dict[str, str]) -> None:
    """ValueError: mode off, which seeds nothing."""
    if environment.mode(environ) == "off":
        raise ValueError("mode off seeds nothing: sweep in mode strict or warn")


def seeds_of(text: str, first: int) -> tuple[int, ...]:
    """`5`: so many, from the first on; `1,7,42`: these. ValueError: neither."""
    words = text.split(",")
    if not all(environment.is_seed(word) for word in words) or (len(words) == 1 and not 0 < int(text) <= MOST):
        raise ValueError(f"--seeds {text}: expected how many, as in 5, or which, as in 1,7,42")
    if len(words) > 1:
        return tuple(dict.fromkeys(map(int, words)))
    return tuple((first + number) % (LARGEST_SEED + 1) for number in range(int(text)))


def read_curves(plan: Plan, metrics: list[Metric], ended: dict[int, Record], log: Log) -> dict[str, Curves]:
    """By metric and seed; a run that lacks a metric is left out, with a word about it."""
    curves: dict[str, Curves] = {known.name: {} for known in metrics}
    for seed, run in ended.items():
        for known in metrics:
            file = Path(plan.filled(known.file, seed)) if known.file else None
            try:
                curves[known.name][seed] = metric.curve(known, run, file)
            except metric.Missing as missing:
                log(f"seed {seed}: {missing}")
    return curves


def describe(plan: Plan, ended: list[Record]) -> dict:
    """What was run, for whoever finds the table later."""
    of_all = ended[0].facts
    image = of_all.get("image", {})
    return {
        "command": list(plan.command),
        "mode": of_all["mode"],
        "threads": of_all["threads"],
        "image": f"{image['name']} {image['tag']}" if image else None,
        "gpus": ", ".join(of_all["gpus"]) or None,
        "cpu": of_all["cpu"]["model"],
    }


def other_hardware(found: dict[int, Record]) -> list[str]:
    """A warning where a sweep was cut off on one machine and went on on another."""
    seen = {str([run.facts.get(key) for key in facts.HARDWARE]) for run in found.values()}
    return ["the seeds ran on different hardware"] if len(seen) > 1 else []


def write(folder: Path, summaries: list[Summary], description: dict, missing: list[int]) -> list[str]:
    """results.csv, results.json, plots.html, and a plot for each metric, as SVG and PNG; returns what it left out."""
    texts = {
        "results.csv": summary.as_csv(summaries),
        "results.json": summary.as_json(summaries, description, missing) + "\n",
        "plots.html": page.page(summaries, description, missing),
    }
    pictures, left_out = {}, []
    for found in summaries:
        file, shapes = re.sub(r"[^A-Za-z0-9]+", "_", found.metric), figure(found.metric, found.curves)
        while f"{file}.svg" in texts:
            file += "_"
        texts[f"{file}.svg"] = svg.drawn(shapes, found.metric) + "\n"
        try:
            pictures[f"{file}.png"] = png.drawn(shapes)
        except ImportError:
            left_out = [png.MISSING]
    contents = {name: text.encode(errors="backslashreplace") for name, text in texts.items()} | pictures
    for name, content in contents.items():
        files.write(folder / name, content)
    return left_out
