"""The runs of a sweep: one a seed, each with a folder of its own, and only those that have not come to an end yet."""

import json
import os
import queue
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import pairwise
from pathlib import Path

from seedbed import crash, environment, files, image, terminal
from seedbed.recording import facts, launch, record
from seedbed.recording.record import Record
from seedbed.sweep import locks
from seedbed.sweep.plan import Plan, gpus

DESCRIPTION = "sweep.json"
SLURM = "slurm"  # the folder of what belongs to jobs on a cluster
NAME = re.compile(r"sweep-[0-9a-f]{6}")
SECONDS_FOR_A_MACHINE = 120  # that was lost in the middle of a seed: a file server keeps its locks so long
TRACKERS = {  # run names that experiment trackers and scripts take from the environment; no {attempt} comes twice
    "WANDB_RUN_ID": "{sweep}-{seed}-{attempt}",
    "WANDB_NAME": "{sweep}-seed-{seed}",
    "WANDB_RUN_GROUP": "{sweep}",
    "MLFLOW_RUN_NAME": "{sweep}-seed-{seed}",
    "NEPTUNE_CUSTOM_RUN_ID": "{sweep}-{seed}-{attempt}",
    "DVC_EXP_NAME": "{sweep}-seed-{seed}-{attempt}",
}


def finished(plan: Plan) -> dict[int, Record]:
    """The runs that have ended well, by seed."""
    return {seed: run for seed in plan.seeds if (run := run_of(plan, seed)) and run.status == 0}


def run_of(plan: Plan, seed: int) -> Record | None:
    """Whatever there is of it."""
    try:
        return record.read(plan.run_folder(seed) / "record")
    except ValueError:
        return None


def sweep(plan: Plan) -> dict[int, Record]:
    """Run what has not ended yet, and return all runs by seed; their status says which failed.

    ValueError: the folder belongs to another sweep, or to one that is running now.
    """
    with locks.locked(plan.folder):
        files.remove_partial(plan.folder)
        name, runs = begun(plan)
        left = [seed for seed in plan.seeds if seed not in runs]
        if runs and left:
            terminal.log(f"continuing: {len(runs)} of {len(plan.seeds)} seeds are done")
        for seed, run in run_all(plan, name, left):
            runs[seed] = run
            terminal.log(f"seed {seed}: {outcome(plan, seed, run)} ({len(runs)} of {len(plan.seeds)})")
            refuse_other_world_sizes(plan, runs)
        return {seed: runs[seed] for seed in plan.seeds}


def one(plan: Plan, index: int) -> Record:
    """Run one seed, the first is 0, if it has not ended yet, while other machines may be at others.

    ValueError: there is no such seed, or see `sweep`.
    """
    if not 0 <= index < len(plan.seeds):
        raise ValueError(f"--only {index}: expected 0 to {len(plan.seeds) - 1}, one of the {len(plan.seeds)} seeds")
    seed = plan.seeds[index]
    with (
        locks.locked(plan.folder, shared=True),
        locks.locked(plan.folder, f"seed {seed}", seconds=SECONDS_FOR_A_MACHINE),
    ):
        name, runs = begun(plan)
        if seed in runs:
            terminal.log(f"seed {seed}: done earlier")
            return runs[seed]
        run = run_one(plan, name, seed, {})
        terminal.log(f"seed {seed}: {outcome(plan, seed, run)}")
        refuse_other_world_sizes(plan, {**runs, seed: run})
        return run


def ended(plan: Plan) -> dict[int, Record]:
    """The runs that have ended, by seed, whoever ran them; a line about each other. ValueError: see `sweep`."""
    with locks.locked(plan.folder, shared=True):
        _, runs = begun(plan)
        found = {seed: run for seed in plan.seeds if (run := runs.get(seed) or run_of(plan, seed))}
    for seed in plan.seeds:
        if seed not in found:
            terminal.log(f"seed {seed}: has not begun")
        elif found[seed].status is None:
            terminal.log(f"seed {seed}: has not ended, or lines are missing in its record")
        elif found[seed].status:
            terminal.log(f"seed {seed}: {outcome(plan, seed, found[seed])}")
    return found


def begun(plan: Plan) -> tuple[str, dict[int, Record]]:
    """The sweep's name, and the runs that have ended well. ValueError: the folder belongs to another sweep."""
    with locks.locked(plan.folder, "the start of this sweep", seconds=SECONDS_FOR_A_MACHINE):  # many may start at once
        files.check_writable(plan.folder / DESCRIPTION)  # now, rather than when all have run
        name = described(plan)
    runs = finished(plan)
    refuse_changed_sources(plan, runs)
    refuse_other_world_sizes(plan, runs)
    return name, runs


def outcome(plan: Plan, seed: int, run: Record) -> str:
    """`done`, or how it failed, what it said last, and what helps if that is known."""
    if run.status == 0:
        return "done"
    if run.status is None:
        return f"failed: lines are missing in its record, see {plan.run_folder(seed)}/record/; is the disk full?"
    status = f"status {run.status}" if run.status > 0 else crash.ending(run.status)
    words = launch.last_words(run.path, crash.SAID_LAST)
    remedy = crash.remedy(words, plan.parallel, "{folder}/out")
    said = " / ".join(words.splitlines())
    return f"failed ({status}), see {plan.run_folder(seed)}/record/; last lines: {said}{remedy and f'; {remedy}'}"


def run_all(plan: Plan, name: str, seeds: list[int]) -> Iterator[tuple[int, Record]]:
    """Each run as it ends; as many at a time as the plan says, each with GPUs of its own where there are several."""
    slots: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    visible = gpus() if plan.parallel > 1 else []
    for number in range(plan.parallel):
        slots.put({"CUDA_VISIBLE_DEVICES": visible[number % len(visible)]} if len(visible) > 1 else {})

    def run(seed: int) -> Record:
        slot = slots.get()
        try:
            return run_one(plan, name, seed, slot)
        finally:
            slots.put(slot)

    with ThreadPoolExecutor(plan.parallel) as pool:
        running = {pool.submit(run, seed): seed for seed in seeds}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run_one(plan: Plan, name: str, seed: int, slot: dict[str, str]) -> Record:
    """From the beginning: what a cut-off attempt has left is removed. OSError: it cannot be."""
    folder = plan.run_folder(seed)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    environ = plan.environ(seed) | slot | tracker_names(name, seed)
    return launch.run([plan.filled(word, seed) for word in plan.command], folder / "record", environ)


def tracker_names(name: str, seed: int) -> dict[str, str]:
    """Names that differ from run to run; one that the user has set stands for the sweep's in them.

    Trackers that draw names from `random`, which is seeded, would give one name to every run with a seed.
    """
    attempt = secrets.token_hex(4)
    return {
        key: value.format(sweep=os.environ.get(key, name), seed=seed, attempt=attempt)
        for key, value in TRACKERS.items()
    }


def described(plan: Plan) -> str:
    """The sweep's name. The first time it is made up; later the folder has to be of the same sweep."""
    same = sameness(plan)
    known = known_sweep(plan, same)
    if known is None:
        known = {"name": f"sweep-{secrets.token_hex(3)}", **same}
        files.write(plan.folder / DESCRIPTION, (json.dumps(known, indent=2) + "\n").encode())
    return known["name"]


def known_sweep(plan: Plan, same: dict) -> dict | None:
    """The description in the folder, None if it is a new one.

    ValueError: it contains another sweep than that of `same`, or no sweep but something else.
    """
    file = plan.folder / DESCRIPTION
    if not file.exists():
        ours = (locks.PREFIX, files.PARTIAL.partition("{")[0])
        strangers = {found.name for found in plan.folder.iterdir() if not found.name.startswith(ours)} - {SLURM}
        if strangers:
            raise ValueError(f"{plan.folder} is no sweep: it contains {min(strangers)}: name a new or empty --output")
        return None
    known = read_description(file)
    for key, value in same.items():
        if known.get(key) != value:
            raise ValueError(f"{plan.folder} contains a sweep with another {said(key, known.get(key), value)}")
    return known


def said(key: str, then: object, now: object) -> str:
    """What a sweep had and what it would have now, in words, and what helps."""
    if key == "command" and isinstance(then, list):
        return f"command ({shlex.join(map(str, then))}): name a new --output"
    if key == "threads":
        return f"number of threads ({then}, now {now}): set OMP_NUM_THREADS={then}, or name a new --output"
    return f"{key} ({then}, now {now}): name a new --output"


def read_description(file: Path) -> dict:
    """ValueError: it is none."""
    content = files.read(file)
    try:
        known = files.parsed(content)
    except ValueError:
        known = None
    if not isinstance(known, dict) or not NAME.fullmatch(str(known.get("name"))):
        raise ValueError(f"{file}: expected the description of a sweep, with its name: name a new --output")
    return known


def sameness(plan: Plan) -> dict:
    """What all runs of a sweep have in common."""
    environ = plan.environ(plan.seeds[0])
    return {
        "command": list(plan.command),
        "mode": environment.mode(environ),
        "threads": environment.threads(environ),
        "image": image.identity(),
    }


def refuse_changed_sources(plan: Plan, runs: dict[int, Record]) -> None:
    """ValueError: a file of the script's is no longer what it was when a finished run used it."""
    for seed, run in runs.items():
        for file, content in run.facts.get("sources", {}).items():
            if facts.fingerprint(Path(file)) != content:
                raise ValueError(
                    f"{file} has changed since seed {seed} ran: name a new --output, or delete {plan.folder}"
                )


def refuse_other_world_sizes(plan: Plan, runs: dict[int, Record]) -> None:
    """ValueError: a run has had more or fewer ranks than the one before it, which is another experiment."""
    sizes = {seed: run.world_size for seed, run in runs.items() if run.status == 0 and run.world_size}
    for (seed, size), (other, found) in pairwise(sizes.items()):
        if size != found:
            raise ValueError(
                f"{plan.folder}: world size {size} for seed {seed}, {found} for seed {other}, which is another "
                f"experiment: name a new --output, or delete {plan.run_folder(other)}"
            )
