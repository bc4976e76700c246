"""Submits the jobs of a sweep, or finds those that are there."""

import json
import os
import re
import secrets
import shutil

from seedbed import files, terminal
from seedbed.recording import launch
from seedbed.sweep import locks, runs
from seedbed.sweep.slurm import client
from seedbed.sweep.slurm.client import Task
from seedbed.sweep.slurm.follow import Follower
from seedbed.sweep.slurm.scripts import STATUS, Batch

JOBS = "jobs.json"
NAME = re.compile(r"seedbed-[0-9a-f]{8}")


def sweep(batch: Batch) -> int:
    """Submit what is missing, or find the jobs that are there; follow them, print the table, and return its status.

    ValueError: wrong use, or Slurm refuses. KeyboardInterrupt: the jobs go on.
    """
    if not shutil.which("sbatch"):
        raise ValueError(f"sbatch: no such command on PATH: {client.NO_PROGRAM}")
    check(batch)
    try:
        with locks.locked(batch.plan.folder, "the submission of this sweep"):
            ended = runs.finished(batch.plan)
            left = [seed for seed in batch.plan.seeds if seed not in ended]
            name = begin(batch, left)
        return Follower(batch, name, left).follow()
    except KeyboardInterrupt:
        if name := known_name(batch):
            terminal.log(f"sweep: the jobs go on: give the same command again to follow them, or scancel --name={name}")
        raise


def begin(batch: Batch, left: list[int]) -> str:
    """See to it that there are jobs, or already a table; returns the name of the jobs. ValueError: see `sweep`."""
    name = known_name(batch)
    if active := [task for task in client.queue(name) if task.active] if name else []:
        attach(batch, name, active)
    elif left or not made(batch):
        name = f"seedbed-{secrets.token_hex(4)}"
        submit(batch, name, left)
    return name


def check(batch: Batch) -> None:
    """ValueError: the folder belongs to another sweep. Of an image, and of what is in it, only the jobs know."""
    plan = batch.plan
    with locks.locked(plan.folder, shared=True):
        same = runs.sameness(plan)
        runs.known_sweep(plan, {key: same[key] for key in same if key != "image" or not batch.launcher})
        if not batch.launcher:
            runs.refuse_changed_sources(plan, runs.finished(plan))
    batch.folder.mkdir(exist_ok=True)
    files.check_writable(batch.folder / JOBS)


def known_name(batch: Batch) -> str | None:
    """Of the jobs that were submitted last."""
    try:
        known = files.parsed(files.read(batch.folder / JOBS))
    except ValueError:
        return None
    name = str(known.get("name")) if isinstance(known, dict) else ""
    return name if NAME.fullmatch(name) else None


def made(batch: Batch) -> bool:
    """Whether there is the table that this command asks for. Only a job knows what is in an image."""
    plan, status = batch.plan, batch.folder / STATUS
    if batch.launcher or not (same_scripts(batch) and status.exists() and (plan.folder / "results.json").exists()):
        return False
    runs_of = [plan.run_folder(seed) / "record" / launch.OUTPUT for seed in plan.seeds]
    return all(run.stat().st_mtime_ns <= status.stat().st_mtime_ns for run in runs_of if run.exists())


def same_scripts(batch: Batch) -> bool:
    """Whether those that were submitted last are these."""
    try:
        return all(files.read(batch.folder / name) == os.fsencode(text) for name, text in batch.scripts.items())
    except ValueError:
        return False


def attach(batch: Batch, name: str, active: list[Task]) -> None:
    """ValueError: what is in the queue is not what the command asks for."""
    if not same_scripts(batch):
        raise ValueError(
            f"{batch.plan.folder}: jobs with other options are in the queue: "
            f"wait for their end, or end them: scancel --name={name}"
        )
    seeds = {task.job for task in active if task.index is not None}
    table = {task.job for task in active if task.index is None}
    if not table:  # whoever submitted the seeds was killed before this
        table = {client.submitted(batch.table(name, min(seeds)))}
    terminal.log(f"following {' and '.join(f'job {job}' for job in sorted(seeds | table, key=int))}, submitted earlier")


def submit(batch: Batch, name: str, left: list[int]) -> None:
    """The name is noted first: by it the jobs are found again, whatever happens now."""
    plan, jobs = batch.plan, {"name": name}
    (batch.folder / STATUS).unlink(missing_ok=True)
    for file, text in batch.scripts.items():
        files.write(batch.folder / file, os.fsencode(text))
    note(batch, jobs)
    if left:
        jobs["seeds"] = client.submitted(batch.array(name, [plan.seeds.index(seed) for seed in left]))
        note(batch, jobs)
        terminal.log(f"job {jobs['seeds']}: {len(left)} of {len(plan.seeds)} seeds, threads of each: {plan.threads}")
    jobs["table"] = client.submitted(batch.table(name, jobs.get("seeds")))
    note(batch, jobs)
    terminal.log(f"job {jobs['table']}: the table")


def note(batch: Batch, jobs: dict[str, str]) -> None:
    files.write(batch.folder / JOBS, (json.dumps(jobs) + "\n").encode())
