"""`seedbed verify -- COMMAND`: fresh runs of one command, compared bit by bit."""

import json
import os
import shlex
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from seedbed import compare, crash, environment
from seedbed.compare import Difference, Verdict
from seedbed.crash import Unfit
from seedbed.native import events
from seedbed.native.events import Row
from seedbed.native.preload import NOT_WATCHED, Watch
from seedbed.recording import launch
from seedbed.recording.facts import changed_facts, machine
from seedbed.recording.record import KINDS, Record
from seedbed.settings import LARGEST_SEED
from seedbed.terminal import table

FIRST, OTHER_SEED = "1", "other-seed"  # names of runs; those between are numbers too
RUN = "{run}"  # in the command and in outputs: the number of the run


@dataclass(frozen=True)
class Plan:
    """What to run, how often, and what counts. `environ(seed)` is the environment for a seed; None: this run's own."""

    command: list[str]
    environ: Callable[[int | None], dict[str, str]]
    folder: Path  # for the records
    runs: int = 3
    parallel: int = 1
    tolerance: float = 0.0
    pattern: str | None = None
    outputs: tuple[str, ...] = ()
    data: tuple[Path, ...] = ()
    other_seed: bool = True
    native: Watch = NOT_WATCHED


@dataclass(frozen=True)
class Report:
    """The runs with one seed, the one with another, and what is to be said of them.

    `native` are the generators that are not Python's, if the runs diverged.
    """

    records: list[Record]
    other: Record | None
    verdict: Verdict
    warnings: tuple[str, ...]
    native: tuple[Row, ...] = ()


def verify(plan: Plan, log: Callable[[str], None]) -> Report:
    """Run and judge. ValueError: it cannot be run as asked; Unfit: see there."""
    check(plan)
    seeded = plan.other_seed and environment.mode(plan.environ(None)) != "off"
    jobs = [FIRST, *(str(number) for number in range(2, plan.runs + 1)), *([OTHER_SEED] if seeded else [])]
    done = run_all(plan, jobs, log)
    records, other = done[: plan.runs], done[-1] if seeded else None
    if all(record.status for record in records):
        raise failure(plan, records[0])
    verdict = compare.judge(records, plan.tolerance, plan.pattern)
    files = [record.path / launch.NATIVE for record in records] if verdict.outcome == "diverged" else []
    return Report(records, other, verdict, tuple(warnings(plan, records, other, verdict)), tuple(events.rows(files)))


def failure(plan: Plan, record: Record) -> Unfit:
    remedy = crash.remedy(launch.last_words(record.path, crash.SAID_LAST), plan.parallel)
    return Unfit("\n".join(filter(None, [launch.failure(record), remedy])))


def check(plan: Plan) -> None:
    apart = all(RUN in output for output in plan.outputs) and any(RUN in word for word in plan.command)
    if plan.parallel > 1 and plan.outputs and not apart:
        raise ValueError(
            f"--parallel with --output: expected {RUN} in the command and in each output, so that every run writes "
            f"its own, as in: --output out/{RUN}/model.pt -- python train.py --out out/{RUN}"
        )


def run_all(plan: Plan, jobs: list[str], log: Callable[[str], None]) -> list[Record]:
    """Each job in turn, or some at a time. The first that fails in turn is the last: the others would, too."""
    if plan.parallel == 1:
        return [run(plan, name, log) for name in jobs]
    with ThreadPoolExecutor(plan.parallel) as pool:
        futures = [pool.submit(run, plan, name, log) for name in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run(plan: Plan, name: str, log: Callable[[str], None]) -> Record:
    environ = plan.environ(other(plan) if name == OTHER_SEED else None)
    command = [word.replace(RUN, name) for word in plan.command]
    outputs = tuple(Path(output.replace(RUN, name)) for output in plan.outputs)
    record = launch.run(command, plan.folder / name, environ, data=plan.data, outputs=outputs, native=plan.native)
    log(f"run {name} ({compare.summary(record)})")
    if record.status and name == FIRST and plan.parallel == 1:
        raise failure(plan, record)
    return record


def other(plan: Plan) -> int:
    """Some other seed."""
    seed = environment.seed(plan.environ(None))
    return seed + 1 if seed < LARGEST_SEED else 0


def warnings(plan: Plan, records: list[Record], other: Record | None, verdict: Verdict) -> list[str]:
    """What the verdict does not say. Unfit: there is nothing to judge."""
    if verdict.outcome == "crashed":
        return []
    first = records[0]
    if not (first.steps or first.output or first.outputs):
        raise Unfit(
            "nothing to compare: the command took no training step with torch or Keras and printed nothing; "
            "name a file that it writes with --output"
        )
    said = dead_threads(records) + missing_ranks(records)
    if not first.steps:
        said.append("no training step of torch or Keras was found: compared what the command printed or wrote")
    elif not (plan.pattern or verdict.difference) and (changed := printed_difference(records)):
        said.append(f"what is printed differs in line {changed.step}, which is not compared (--lines compares it)")
    return said + (seed_effect(first, other) if other else [])


def missing_ranks(records: list[Record]) -> list[str]:
    """They were on another machine, whose folder for records is not this one's, or took no training step."""
    few = next((record for record in records if len(record.trained) < (record.world_size or 0)), None)
    if few is None:
        return []
    left_out = "the others took no step, or wrote to a --keep that is not shared"
    return [f"of {few.world_size} ranks {len(few.trained)} were compared: {left_out}"]


def dead_threads(records: list[Record]) -> list[str]:
    """The runs in which an exception has ended a thread, which leaves the exit status at 0."""
    ends = [(number, launch.dead_thread(record.path)) for number, record in enumerate(records, start=1)]
    return [f"in run {number} an exception ended thread {thread}" for number, thread in ends if thread]


def printed_difference(records: list[Record]) -> Difference | None:
    return next(filter(None, (compare.output_difference(records[0], record) for record in records[1:])), None)


def seed_effect(first: Record, other: Record) -> list[str]:
    """A seed that changes nothing, or not the data, is one that the program ignores."""
    seed = other.facts["seed"]
    if other.status and other.status != first.status:
        return [launch.failure(other, f"with seed {seed} the command")]
    changes = changed_kinds(first, other)
    if not changes:
        return [f"seed {seed} changes nothing: the program ignores the seed, or uses no random numbers"]
    if first.steps and "data" in first.steps[0].values and "data" not in changes:
        return [
            f"seed {seed} changes the {compare.NAMES[changes[0]]}, but not the data: it is not shuffled, or by a "
            "generator whose seed is a constant"
        ]
    return []


def changed_kinds(first: Record, other: Record) -> list[str]:
    """The kinds that differ anywhere in the training, or else what differs in the lines printed and files written."""
    pairs = [
        (x, y) for a, b in zip(first.ranks, other.ranks, strict=False) for x, y in zip(a.steps, b.steps, strict=False)
    ]
    kinds = [kind for kind in KINDS if any(x.values.get(kind) != y.values.get(kind) for x, y in pairs)]
    beside = compare.first_difference(first, other)
    return kinds or ([beside.kind] if beside else [])


def as_text(plan: Plan, report: Report) -> str:
    """Who ran, each run's end, the verdict, and what to do."""
    facts = report.records[0].facts
    rows = [("run", "steps", "last loss", "final parameters")]
    rows += [(str(number), *end(record)) for number, record in enumerate(report.records, start=1)]
    rows += [(f"seed {report.other.facts['seed']}", *end(report.other))] if report.other else []
    heading = f"{shlex.join(plan.command)}\nseed {facts['seed']}, mode {facts['mode']}, {machine(facts)}"
    warned = "\n".join(f"warning: {warning}" for warning in report.warnings)
    return "\n\n".join(part for part in (heading, table(rows), verdict_text(plan, report), warned) if part)


def end(record: Record) -> tuple[str, str, str]:
    """How many steps, the last loss in decimals and in bits, and the last fingerprint of the parameters."""
    losses = [step.loss for step in record.steps if step.loss is not None]
    prints = [step.values["parameters"] for step in record.steps if "parameters" in step.values]
    return (
        str(len(record.steps)) if record.steps else f"{len(record.output)} lines",
        f"{losses[-1]:.8g} ({losses[-1].hex()})" if losses else "-",
        prints[-1][:16] if prints else "-",
    )


def verdict_text(plan: Plan, report: Report) -> str:
    verdict, count = report.verdict, len(report.records)
    if verdict.outcome == "equal":
        return f"EQUAL: {count} runs, {compared(report.records[0])}."
    if verdict.outcome == "crashed":
        return crash_text(plan, report)
    said = compare.sentence(verdict, ("run 1", f"run {(verdict.run or 0) + 1}"))
    return said + hints(plan, report) if verdict.outcome == "diverged" else said


def crash_text(plan: Plan, report: Report) -> str:
    """Each run that failed, with its last words; whether the runs agree up to there; what helps, if that is known."""
    failed = [(number, record) for number, record in enumerate(report.records, start=1) if record.status]
    lines, words = [], [launch.last_words(record.path, crash.SAID_LAST) for _, record in failed]
    for (number, record), said in zip(failed, words, strict=True):
        lines += [f"CRASHED: run {number} {crash.ending(record.status)} and said:", textwrap.indent(said, "  ")]
    lines.append(compare.before_the_crash(report.verdict))
    if remedy := crash.remedy("\n".join(words), plan.parallel):
        lines.append(f"{remedy[0].upper()}{remedy[1:]}.")
    return "\n".join(lines)


def compared(record: Record) -> str:
    """What was compared, and how exactly."""
    files = f"{counted(len(record.outputs), 'file')} by sha256" if record.outputs else ""
    if record.steps:
        seen = [NAMES_IN_PLURAL[kind] for kind in KINDS if any(kind in step.values for step in record.steps)]
        ranks = len(record.trained)
        steps = f"{counted(len(record.steps), 'step')}, all bits of {in_words(seen)}"
        return ", ".join(filter(None, [f"{ranks} ranks" if ranks > 1 else "", steps, files]))
    lines = counted(len(record.output), "printed line")
    return files or f"{lines} (only the digits printed: --output compares files)"


def counted(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def in_words(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


NAMES_IN_PLURAL = {
    "initial": "initial parameters",
    "data": "data",
    "loss": "losses",
    "gradients": "gradients",
    "parameters": "updates",
}


def hints(plan: Plan, report: Report) -> str:
    """What else changed between the runs, and what finds the culprit."""
    rows = changed_facts(report.records[0].facts, report.records[report.verdict.run or 1].facts)
    changed = [name for name, _, _ in rows if name != "command"]
    also = f"\nThe setups of these runs differ too: {', '.join(changed)}." if changed else ""
    facts = report.records[0].facts
    here = {"seed": environment.seed(os.environ), "mode": environment.mode(os.environ)}
    options = [word for name in here if facts[name] != here[name] for word in (f"--{name}", str(facts[name]))]
    trace = shlex.join(["seedbed", "trace", *options, "--", *plan.command])
    return f"{also}{seen_native(plan, report)}\nTo find the first operation that differs: {trace}"


def seen_native(plan: Plan, report: Report) -> str:
    """The generators that no seed reaches: they may be the cause."""
    if plan.native.reason:
        return f"\nNative generators were not watched: {plan.native.reason}."
    rows = "".join(f"\n  {row}" for row in report.native)
    return f"\nNative generators that no seed reaches:{rows}" if rows else ""


def as_json(report: Report) -> str:
    document = {
        "verdict": asdict(report.verdict),
        "runs": [run_json(record) for record in report.records],
        "other_seed": run_json(report.other) if report.other else None,
        "changes_with_seed": changed_kinds(report.records[0], report.other) if report.other else None,
        "warnings": report.warnings,
        "native": events.as_json(report.native),
        "facts": report.records[0].facts,
    }
    return json.dumps(document, indent=2)


def run_json(record: Record) -> dict:
    losses = [step.loss.hex() for step in record.steps if step.loss is not None]
    return {
        "seed": record.facts["seed"],
        "status": record.status,
        "steps": len(record.steps),
        "loss": losses[-1] if losses else None,
        "parameters": next((s.values["parameters"] for s in reversed(record.steps) if "parameters" in s.values), None),
        "outputs": record.outputs,
        "last_words": launch.last_words(record.path, crash.SAID_LAST) if record.status else None,
    }
