"""The table of a sweep: from its runs to what is printed, and to the files in its folder."""

import re
from pathlib import Path

from seedbed import files, terminal
from seedbed.recording import facts
from seedbed.recording.record import Record
from seedbed.sweep import metric, page, png, summary, svg
from seedbed.sweep.figure import figure
from seedbed.sweep.metric import Metric
from seedbed.sweep.plan import Plan
from seedbed.sweep.summary import Curves, Summary


def make(plan: Plan, metrics: list[Metric], found: dict[int, Record], *, as_json: bool) -> int:
    """Write and print the table of these runs, by seed. Status 0: every seed has a result, 1: not."""
    curves = read_curves(plan, metrics, {seed: run for seed, run in found.items() if run.status == 0})
    whole = [seed for seed in plan.seeds if all(seed in curve for curve in curves.values())]
    if not whole:
        terminal.log("sweep: no seed has a result")
        return 1
    missing = [seed for seed in plan.seeds if seed not in whole]
    summaries = [summary.summary(name, {seed: curve[seed] for seed in whole}) for name, curve in curves.items()]
    told = summaries, describe(plan, found[whole[0]]), missing
    left_out = write(plan.folder, *told)
    terminal.show(summary.as_json(*told) if as_json else summary.as_text(summaries))
    for said in [*summary.warnings(summaries, missing), *other_hardware(found), *left_out]:
        terminal.log(f"note: {said}")
    terminal.log(f"plots and tables: {plan.folder}/")
    return 1 if missing else 0


def read_curves(plan: Plan, metrics: list[Metric], ended: dict[int, Record]) -> dict[str, Curves]:
    """By metric and seed; a run that lacks a metric is left out, with a word about it."""
    curves: dict[str, Curves] = {known.name: {} for known in metrics}
    for seed, run in ended.items():
        for known in metrics:
            file = Path(plan.filled(known.file, seed)) if known.file else None
            try:
                curves[known.name][seed] = metric.curve(known, run, file)
            except metric.Missing as missing:
                terminal.log(f"seed {seed}: {missing}")
    return curves


def describe(plan: Plan, run: Record) -> dict:
    """What was run, for whoever finds the table later."""
    of_all = run.facts
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
