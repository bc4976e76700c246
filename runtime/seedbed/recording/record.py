"""Reads a record: a folder with a file of JSON lines for each process of one run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from seedbed.environment import is_number
from seedbed.observe import lines
from seedbed.recording import form

KINDS = ("initial", "data", "loss", "gradients", "parameters")  # in the order in which a difference is blamed
FROM_LAUNCHER = ("command", "folder", "started", "data")


class Facts(dict):
    """Of a run. ValueError, with its path and the key: a fact that somebody needs is missing."""

    def __init__(self, path: Path, found: dict) -> None:
        super().__init__(found)
        self.path = path

    def __missing__(self, key: str) -> object:
        raise ValueError(f"{self.path}: expected {key} among the facts of the run")


@dataclass(frozen=True)
class Step:
    """What was seen of one step, as text that is equal where the bits are; from 1."""

    number: int
    values: dict[str, str]
    losses: tuple[float, ...] = ()
    states: dict[str, str] = field(default_factory=dict)  # what it began with, if that was asked for

    @property
    def loss(self) -> float | None:
        """The sum of what `backward()` was called on, None where nothing was."""
        return sum(self.losses) if self.losses else None


@dataclass(frozen=True)
class Rank:
    """One training process, or one of the threads that train in it. `epochs` hold what Keras says at each one's end.

    `lost`: how many steps are missing, since their lines could not be written.
    """

    rank: int
    facts: dict
    steps: tuple[Step, ...]
    epochs: tuple[dict[str, float], ...]
    finished: bool
    thread: str = ""  # empty: the main one
    lost: int = 0


@dataclass(frozen=True)
class Record:
    """One run. `status` is the command's: negative for a signal, None where the run was cut off."""

    path: Path
    facts: dict
    ranks: tuple[Rank, ...]
    output: tuple[str, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    environment: dict[str, str] = field(default_factory=dict)  # the command's own; empty if it was not launched

    @cached_property
    def world_size(self) -> int | None:
        """How many ranks the job has, as the first training process says; None: no process has trained."""
        return self.facts.get("ranks", 1) if self.ranks else None

    @cached_property
    def trained(self) -> set[int]:
        """The numbers of the ranks that have trained."""
        return {rank.rank for rank in self.ranks}

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The first training process's."""
        return self.ranks[0].steps if self.ranks else ()


def read(path: Path) -> Record:
    """The record of a run, whole or cut off. ValueError: there is none."""
    parts = sorted(path.glob("*.jsonl"), key=order) if path.is_dir() else [path]
    ranks, launched = [], []
    for file in parts:
        found = list(lines_of(file))
        if not found or "run" not in found[0]:
            raise ValueError(f"{file}: expected a record (its first line says what was run)")
        if file.name.startswith("output"):
            launched.append(launched_record(path, found))
        else:
            ranks += ranks_of(found)
    if not parts:
        raise ValueError(f"{path}: expected a record, found no .jsonl file; seedbed run --record makes one")
    first = together(launched) if launched else Record(path, {}, ())
    facts = Facts(path, facts_of(first, ranks))
    return replace(first, facts=facts, ranks=tuple(ranks), environment=first.facts.get("environment", {}))


def together(launched: list[Record]) -> Record:
    """One record of the ranks that were each launched on their own: what they printed by rank, and the worst status."""
    statuses = [one.status for one in launched]
    status = next((status for status in statuses if status != 0), 0)
    output = tuple(line for one in launched for line in one.output)
    return replace(launched[0], output=output, status=None if None in statuses else status)


def order(file: Path) -> list[int]:
    """By rank, then by process: rank10 after rank2, output.jsonl before output1.jsonl."""
    return [int(number) for number in re.findall(r"\d+", file.stem)]


def lines_of(file: Path) -> Iterator[dict]:
    """Its whole lines. ValueError: one is not as a record's are."""
    return (form.checked(line, f"{file}:{number}") for number, line in lines.read(file))


def ranks_of(lines: list[dict]) -> Iterator[Rank]:
    """What each thread of a process did: the main thread, then the others by name. A process has at least one."""
    threads = dict.fromkeys(line.get("thread", "") for line in lines if "step" in line or "epoch" in line) or [""]
    for name in sorted(threads, key=natural):
        yield rank_of(lines[0]["run"], [line for line in lines if line.get("thread", "") == name], name, lines[-1])


def rank_of(facts: dict, lines: list[dict], thread: str, last: dict) -> Rank:
    steps = tuple(step_of(line) for line in lines if "step" in line)
    epochs = tuple(
        {name: float.fromhex(value) for name, value in line["metrics"].items()} for line in lines if "epoch" in line
    )
    lost = steps[-1].number - len(steps) if steps else 0
    return Rank(facts.get("rank", 0), facts, steps, epochs, "end" in last, thread, lost)


def natural(name: str) -> list[tuple[bool, int, str]]:
    """Sorts Thread-10 behind Thread-2."""
    parts = re.findall(r"\d+|\D+", name)
    return [(is_number(part), int(part) if is_number(part) else 0, part) for part in parts]


def step_of(line: dict) -> Step:
    values = {kind: " ".join(line["loss"]) if kind == "loss" else line[kind] for kind in KINDS if kind in line}
    losses = tuple(float.fromhex(loss) for loss in line.get("loss", ()))
    states = {key.removeprefix(form.STATE): text for key, text in line.items() if key.startswith(form.STATE)}
    return Step(line["step"], values, losses, states)


def launched_record(path: Path, lines: list[dict]) -> Record:
    """What the launcher saw: facts, standard output, output files, status; None: not ended, or lines are lost."""
    output = tuple(line["text"] for line in lines if "line" in line)
    outputs = next((line["outputs"] for line in lines if "outputs" in line), {})
    end = lines[-1].get("end", {})
    status = end.get("status") if end.get("lines", len(output)) == len(output) else None
    return Record(path, lines[0]["run"], (), output, outputs, status)


def facts_of(launched: Record, ranks: list[Rank]) -> dict:
    """The first training process knows best, but for what only the launcher saw."""
    seen = ranks[0].facts if ranks else {}
    sources = launched.facts.get("sources", {}) | seen.get("sources", {})
    only_launcher = {key: launched.facts[key] for key in FROM_LAUNCHER if key in launched.facts}
    return launched.facts | seen | {"sources": sources} | only_launcher


def series(record: Record, pattern: str) -> list[float]:
    """The numbers that the pattern's first group, or else all of it, matches in the lines printed.

    ValueError: it matches what is no number.
    """
    found = (re.search(pattern, line) for line in record.output)
    return [float((match[1] if match.re.groups else match[0]) or "") for match in found if match]
