"""The runs: one without interruption, and for each place one that is cut off and one that resumes it."""

import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

from seedbed import compare, environment
from seedbed.crash import Unfit
from seedbed.native.preload import NOT_WATCHED, Watch
from seedbed.recording import launch
from seedbed.recording.record import Record
from seedbed.resume import STATES, STOP, copies, judge
from seedbed.resume.judge import Finding

IN_NAME = r"[\w.~+@%-]"  # of a file
FOLDER = "{folder}"  # in the command: where this run and its resumption write


@dataclass(frozen=True)
class Plan:
    """What to run and where to cut it off: after the steps `at`, or after two that follow from the seed."""

    command: list[str]
    again: list[str]  # what resumes it
    environ: dict[str, str]
    scratch: Path  # for copies of the working folder
    records: Path
    at: tuple[int, ...]
    signal: int
    native: Watch = NOT_WATCHED


@dataclass(frozen=True)
class Report:
    whole: Record
    findings: tuple[Finding, ...]


def resume(plan: Plan, log: Callable[[str], None]) -> Report:
    """Run and judge. ValueError: it cannot be run as asked. Unfit: the command fails by itself."""
    with workplace(plan) as (here, out):
        whole = run(plan, "uninterrupted", plan.command, here, out)
    log(f"run without interruption ({compare.summary(whole)})")
    if whole.status:
        raise Unfit(launch.failure(whole))
    return Report(whole, tuple(cut_off(plan, whole, at, log) for at in places_of(plan, whole)))


def places_of(plan: Plan, whole: Record) -> tuple[int, ...]:
    """Those asked for; else one in the middle third of the training, and one in the last.

    ValueError: the training never goes on after one of them, or has too few steps.
    """
    steps = whole.steps[-1].number if whole.steps else 0
    if not steps:
        raise ValueError("the command took no training step with torch or Keras: there is nothing to cut off")
    if plan.at and (last := max(plan.at)) >= steps:
        raise ValueError(
            f"the training has {steps} steps, and never goes on after step {last}: name an earlier one with --at"
        )
    if plan.at:
        return plan.at
    if steps < 3:
        raise ValueError(f"the training has {steps} steps, too few to cut it off: let it train for longer")
    draw = random.Random(f"resume {environment.seed(plan.environ)}").randrange
    first, second = max(1, steps // 3), max(2, 2 * steps // 3)
    return draw(first, second), draw(second, steps)


def cut_off(plan: Plan, whole: Record, at: int, log: Callable[[str], None]) -> Finding:
    with workplace(plan) as (here, out):
        before = copies.stamps(out)
        cut = run(plan, f"cut-{at}", plan.command, here, out, {STOP: f"{at}:{plan.signal}"})
        log(f"run cut off after step {at}")
        written = copies.written(before, copies.stamps(out))
        if finding := judge.before_resuming(whole, cut, at, written):
            return finding
        resumed = run(plan, f"resumed-{at}", plan.again, here, out)
        log(f"run resumed ({compare.summary(resumed)})")
    return judge.resumed(whole, resumed, at, written)


def run(plan: Plan, name: str, command: list[str], here: Path, out: Path, more: dict[str, str] | None = None) -> Record:
    """The record of one run in its folder."""
    words = [in_copy(word, Path.cwd(), here).replace(FOLDER, str(out)) for word in command]
    environ = {**plan.environ, "PWD": str(here), STATES: "1", **(more or {})}
    with chdir(here):
        return launch.run(words, plan.records / name, environ, native=plan.native)


def in_copy(word: str, folder: Path, copy: Path) -> str:
    """A word of the command, with paths into the working folder as paths into its copy.

    That begins a path, also behind the letter of an option (-o/train/out); inside of a path it means another folder.
    """
    path = rf"(?:(?<=^-\w)|(?<!{IN_NAME})(?<!/)){re.escape(str(folder))}(?!{IN_NAME})"
    return re.sub(path, lambda _: str(copy), word)


@contextmanager
def workplace(plan: Plan) -> Iterator[tuple[Path, Path]]:
    """The folder to run in, and the one that the run writes to: the same one, which is a copy of the working folder,
    unless the command names its own with {folder}. It has the same name for each run."""
    folder = plan.scratch / "work"
    try:
        if any(FOLDER in word for word in (*plan.command, *plan.again)):
            folder.mkdir()
            yield Path.cwd(), folder
        else:
            copies.copy(Path.cwd(), folder, without=(plan.scratch, plan.records))
            yield folder, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
