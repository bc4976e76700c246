"""`seedbed compare A B`: two recorded runs, first what they ran on and with, then what came of it."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Literal

from seedbed import crash
from seedbed.observe.printed import steady
from seedbed.recording.facts import HARDWARE, changed_facts, flat
from seedbed.recording.record import KINDS, Rank, Record, Step
from seedbed.terminal import printable, table

Outcome = Literal["equal", "within", "diverged", "incomparable", "crashed"]
WORLD_SIZE = "world size"
NAMES = {
    WORLD_SIZE: WORLD_SIZE,
    "initial": "initial parameters",
    "data": "data",
    "loss": "loss (forward)",
    "gradients": "gradients (backward)",
    "parameters": "parameters (update)",
    "statistics": "statistics of BatchNorm, or other buffers",
    "steps": "number of steps",
    "ranks": "number of processes and threads that train",
    "output": "printed line",
    "file": "file",
    "status": "exit status",
}
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|\bnan\b|\binf\b")
ROWS = 12  # of a curve


@dataclass(frozen=True)
class Difference:
    """The first place where two runs differ: what, where, and both values as recorded."""

    kind: str
    values: tuple[str, str]
    step: int | None = None  # or line
    rank: int = 0
    thread: str = ""  # empty: the main one

    def __str__(self) -> str:
        where = "" if self.step is None else f" {self.step}" if self.kind == "output" else f", step {self.step}"
        of_rank = f" of rank {self.rank}" if self.rank else ""
        return NAMES[self.kind] + where + of_rank + (f" of thread {printable(self.thread)}" if self.thread else "")


@dataclass(frozen=True)
class Verdict:
    """`difference` is the first of all, with the `run` that shows it (from 0); `largest` the largest of the losses'."""

    outcome: Outcome
    difference: Difference | None = None
    run: int | None = None
    largest: float | None = None  # relative
    hardware: tuple[str, ...] = ()  # the facts in which it differs


def judge(records: list[Record], tolerance: float = 0.0, pattern: str | None = None) -> Verdict:
    """Every run against the first. Equal bits count for nothing where the hardware differs, nor does what a run that
    failed has not done."""
    if verdict := crashed(records):
        return verdict
    first, others = records[0], records[1:]
    found = [(first_difference(first, other, pattern), run) for run, other in enumerate(others, start=1)]
    differing = [(difference, run) for difference, run in found if difference]
    hardware = tuple(name for name in HARDWARE if any(is_other(name, first, other) for other in others))
    if not differing:
        return Verdict("incomparable" if hardware else "equal", hardware=hardware)
    difference, run = min(differing, key=lambda pair: position(pair[0]))
    largest = max(distance(first, other, pattern) for other in others)
    near = 0 < tolerance >= largest and not any(difference.kind == "file" for difference, _ in differing)
    outcome: Outcome = "incomparable" if hardware else "within" if near else "diverged"
    return Verdict(outcome, difference, run, largest, hardware)


def is_other(hardware: str, a: Record, b: Record) -> bool:
    if hardware == "ranks":
        return None not in (a.world_size, b.world_size) and a.world_size != b.world_size
    return a.facts.get(hardware) != b.facts.get(hardware)


def crashed(records: list[Record]) -> Verdict | None:
    """That one of the runs failed and another did not, with what differed before. None: they ended alike."""
    failed = next((number for number, record in enumerate(records) if record.status), None)
    sound = next((record for record in records if record.status == 0), None)
    if failed is None or sound is None:
        return None
    difference = first_difference(sound, records[failed])
    before = difference if difference and difference.kind in KINDS else None  # what is missing, the crash explains
    return Verdict("crashed", before, failed)


def before_the_crash(verdict: Verdict) -> str:
    difference = verdict.difference
    return f"Before that the runs differ: {difference}." if difference else "Up to there the runs agree."


def first_difference(a: Record, b: Record, pattern: str | None = None) -> Difference | None:
    """Of the steps, then of the printed lines where they count (no steps, or a pattern), then of the files.

    Of another number of ranks every number may be another: that is the difference, and not the first such number.
    """
    if is_other("ranks", a, b):
        return Difference(WORLD_SIZE, (str(a.world_size), str(b.world_size)))
    by_rank = [difference_of(x, y) for x, y in zip(a.ranks, b.ranks, strict=False)]
    if found := [difference for difference in by_rank if difference]:
        return min(found, key=position)
    if len(a.ranks) != len(b.ranks):
        return Difference("ranks", (str(len(a.ranks)), str(len(b.ranks))))
    output = output_difference(a, b, pattern) if pattern or not a.steps else None
    return output or file_difference(a, b) or status_difference(a, b)


def position(difference: Difference) -> tuple[float, int, int]:
    if difference.kind == WORLD_SIZE:
        return -1, 0, 0
    kind = (*KINDS, *NAMES).index(difference.kind)
    return math.inf if difference.step is None else difference.step, kind, difference.rank


def difference_of(a: Rank, b: Rank) -> Difference | None:
    """By number: a step whose line was lost is passed over."""
    there = {step.number: step for step in b.steps}
    for x in a.steps:
        for kind in KINDS if x.number in there else ():
            values = x.values.get(kind), there[x.number].values.get(kind)
            if values[0] != values[1]:
                return Difference(kind, (values[0] or "none", values[1] or "none"), x.number, a.rank, a.thread)
    lengths = [rank.steps[-1].number if rank.steps else 0 for rank in (a, b)]
    if lengths[0] != lengths[1]:
        return Difference("steps", (str(lengths[0]), str(lengths[1])), min(lengths) + 1, a.rank, a.thread)
    if a.thread != b.thread:
        return Difference("ranks", (a.thread or "main thread", b.thread or "main thread"), rank=a.rank)
    return None


def output_difference(a: Record, b: Record, pattern: str | None = None) -> Difference | None:
    for number, (x, y) in enumerate(zip_longest(printed(a, pattern), printed(b, pattern)), start=1):
        if x != y:
            return Difference("output", (x or "none", y or "none"), number)
    return None


def printed(record: Record, pattern: str | None = None) -> list[str]:
    """The lines printed, without what varies by nature; with a pattern, what it matches."""
    if pattern is None:
        return [steady(line) for line in record.output]
    return [
        " ".join(group or "" for group in match.groups() or match.group().split())
        for line in record.output
        if (match := re.search(pattern, line))
    ]


def file_difference(a: Record, b: Record) -> Difference | None:
    """By place: parallel runs write to folders of their own."""
    for (name, x), (other, y) in zip(a.outputs.items(), b.outputs.items(), strict=False):
        if x != y or len(x) != 64:
            return Difference("file", (f"{name} {x}", f"{other} {y}"))
    return None


def status_difference(a: Record, b: Record) -> Difference | None:
    return None if a.status == b.status else Difference("status", (str(a.status), str(b.status)))


def distance(a: Record, b: Record, pattern: str | None) -> float:
    """The largest relative difference of losses (or of printed numbers, where they count); infinite where none fits."""
    pairs = [pair for x, y in zip(a.ranks, b.ranks, strict=False) for pair in losses(x, y)]
    if pattern or not pairs:
        pairs += [
            pair for x, y in zip_longest(printed(a, pattern), printed(b, pattern)) for pair in numbers(x or "", y or "")
        ]
    same_shape = a.status == b.status and [len(rank.steps) for rank in a.ranks] == [len(rank.steps) for rank in b.ranks]
    return max((relative(x, y) for x, y in pairs), default=math.inf) if same_shape else math.inf


def losses(a: Rank, b: Rank) -> Iterator[tuple[float, float]]:
    for x, y in zip(a.steps, b.steps, strict=False):
        yield from zip_longest(x.losses, y.losses, fillvalue=math.nan)


def numbers(a: str, b: str) -> Iterator[tuple[float, float]]:
    """The numbers of two lines that otherwise say the same."""
    if NUMBER.sub("#", a) == NUMBER.sub("#", b):
        yield from zip(map(float, NUMBER.findall(a)), map(float, NUMBER.findall(b)), strict=True)
    else:
        yield math.nan, 0.0


def relative(a: float, b: float) -> float:
    """The difference over the larger, 0 for equal numbers (NaN equals NaN), infinite where only one is finite."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return abs(a - b) / max(abs(a), abs(b)) if math.isfinite(a) and math.isfinite(b) else math.inf


def as_text(a: Record, b: Record, verdict: Verdict) -> str:
    """One screen: who, environment, curves, verdict."""
    runs = table([("A", str(a.path), summary(a)), ("B", str(b.path), summary(b))])
    rows = changed_facts(a.facts, b.facts)
    same = sorted({name.split(" ")[0] for name in flat(a.facts)} - {row[0].split(" ")[0] for row in rows} - {"started"})
    environment = [table([("differs", "A", "B"), *map(shortened, rows)])] if rows else []
    environment.append(f"the same: {printable(', '.join(same))}")
    return "\n\n".join([runs, "\n".join(environment), curves(a, b, verdict), judgement(a, b, verdict)])


def judgement(a: Record, b: Record, verdict: Verdict) -> str:
    if verdict.outcome != "crashed":
        return sentence(verdict)
    return f"CRASHED: {'AB'[verdict.run or 0]} {ending((a, b)[verdict.run or 0])}. {before_the_crash(verdict)}"


def summary(record: Record) -> str:
    """`seed 42, mode strict, 45 steps`, and how it ended unless all went well."""
    facts = record.facts
    length = f"{len(record.steps)} steps" if record.steps else f"{len(record.output)} lines printed"
    ended = "" if record.status == 0 else f", {ending(record)}"
    return f"seed {facts.get('seed')}, mode {facts.get('mode')}, {length}{ended}"


def ending(record: Record) -> str:
    if record.status is None:
        finished = bool(record.ranks) and all(rank.finished for rank in record.ranks)
        return "ended" if finished else "cut off"
    return crash.ending(record.status)


def shortened(row: tuple[str, ...], width: int = 36) -> tuple[str, ...]:
    return tuple(cell if len(cell) <= width else f"{cell[: width - 3]}..." for cell in row)


def curves(a: Record, b: Record, verdict: Verdict) -> str:
    """The losses of both at a dozen steps, the first and the last and the first that differs among them."""
    if not (a.steps and b.steps):
        return printed_around(a, b, verdict)
    x, y = ({step.number: step for step in record.steps} for record in (a, b))
    numbers = sorted(x.keys() | y.keys())
    chosen = {numbers[round(row * (len(numbers) - 1) / (ROWS - 1))] for row in range(ROWS)}
    chosen |= {verdict.difference.step} & set(numbers) if verdict.difference else set()
    pairs = [(number, x.get(number), y.get(number)) for number in sorted(chosen)]
    rows = [(str(number), shown(one), shown(other), apart(one, other)) for number, one, other in pairs]
    return table([("step", "loss A", "loss B", "difference"), *rows])


def shown(step: Step | None) -> str:
    return "-" if step is None or step.loss is None else f"{step.loss:.8g}"


def apart(a: Step | None, b: Step | None) -> str:
    """The relative difference of the losses, and which other kinds differ."""
    if a is None or b is None or a.values == b.values:
        return "" if a is None or b is None else "none"
    kinds = [kind for kind in KINDS if a.values.get(kind) != b.values.get(kind)]
    if "loss" not in kinds:
        return f"only {', '.join(NAMES[kind].split(' (')[0] for kind in kinds)}"
    return f"{relative(a.loss or 0.0, b.loss or 0.0):.2g}"


def printed_around(a: Record, b: Record, verdict: Verdict) -> str:
    """A few lines that both printed, up to the first that differs."""
    last = verdict.difference.step if verdict.difference and verdict.difference.step else len(a.output)
    pairs = list(zip_longest(printed(a), printed(b), fillvalue="-"))[:last][-ROWS // 2 :]
    return table([("A printed", "B printed"), *(shortened(pair, 60) for pair in pairs)])


def sentence(verdict: Verdict, names: tuple[str, str] = ("A", "B")) -> str:
    """The verdict in a line or two, with both values where something differs."""
    if verdict.difference and verdict.difference.kind == WORLD_SIZE:
        a, b = (f"{size} in {name}" for size, name in zip(verdict.difference.values, names, strict=True))
        return f"NOT COMPARABLE: world size {a}, {b}: another experiment, in which every number may differ."
    where = f"First difference: {verdict.difference}." if verdict.difference else "All bits agree."
    if verdict.difference:
        values = map(printable, verdict.difference.values)
        where += "".join(f"\n  {name}  {value}" for name, value in zip(names, values, strict=True))
    if verdict.outcome == "incomparable":
        return f"NOT COMPARABLE: different hardware ({', '.join(verdict.hardware)}). {where}"
    if verdict.outcome == "within":
        return f"WITHIN TOLERANCE: losses differ by {verdict.largest:.2g} at most. {where}"
    return f"EQUAL. {where}" if verdict.outcome == "equal" else f"DIVERGED. {where}"


def as_json(a: Record, b: Record, verdict: Verdict) -> str:
    facts = [{"name": name, "a": x, "b": y} for name, x, y in changed_facts(a.facts, b.facts)]
    losses = [[step.loss.hex() if step.loss is not None else None for step in record.steps] for record in (a, b)]
    document = {"verdict": asdict(verdict), "facts": facts, "losses": {"a": losses[0], "b": losses[1]}}
    return json.dumps(document, indent=2)
