"""Traced runs of a command, and the journals of their processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path

from seedbed import crash
from seedbed.environment import is_number
from seedbed.native import events
from seedbed.native.events import Row
from seedbed.native.preload import NOT_WATCHED, Watch
from seedbed.observe import lines
from seedbed.observe.launch import AS_BY_HAND, ERRORS, NATIVE, start
from seedbed.trace import form, journal
from seedbed.trace.journal import Plan

OUTPUT = "output.txt"
ENDED_BY_US = -9  # a run ends itself with the last step that is of interest


@dataclass(frozen=True)
class Process:
    """One process's journal: JSON lines, the first key of each says what it is about."""

    path: Path

    def events(self, *kinds: str) -> Iterator[dict]:
        """ValueError, with the file: a line is not as the traced program writes it."""
        for number, event in lines.read(self.path, "a journal", kinds, sys.maxsize):
            try:
                yield form.checked(event, next(iter(event)))
            except ValueError as error:
                raise ValueError(f"{self.path}:{number}: expected a journal: {error}") from error

    @cached_property
    def operations(self) -> list[dict]:
        return list(self.events("op"))

    @property
    def rank(self) -> int:
        """The launcher's number of it; see `journal`."""
        first = self.path.stem.partition("-")[0]
        return int(first) if is_number(first) else 0

    def trains(self) -> bool:
        """Whether its computation is the result: it takes steps, or no other process has started it to work for it."""
        return "-" not in self.path.stem.partition("-")[2] or any(True for _ in self.events("step"))


@dataclass(frozen=True)
class Run:
    """A run that is over. `status` is the command's, negative for a signal; `seconds` is how long it took.

    `cut`: its plan ends it with the last step that is of interest.
    """

    folder: Path
    status: int
    seconds: float
    cut: bool = False

    @cached_property
    def processes(self) -> dict[str, Process]:
        """By a name that the same process has in another run."""
        return {path.stem: Process(path) for path in sorted(self.folder.glob("*.jsonl"))}

    def events(self, *kinds: str) -> Iterator[dict]:
        """Of all processes, one after the other."""
        return (event for process in self.processes.values() for event in process.events(*kinds))

    @property
    def has_ranks(self) -> bool:
        """Whether there are several."""
        return any(process.rank for process in self.processes.values())

    def native(self) -> list[Row]:
        """The generators that are not Python's and seeded themselves."""
        return events.rows([self.folder / NATIVE])

    @property
    def failed(self) -> bool:
        return self.status != 0 and not (self.cut and self.status == ENDED_BY_US)

    def output(self) -> list[str]:
        """The lines that it printed."""
        return (self.folder / OUTPUT).read_text("utf-8", errors="replace").splitlines()

    def last_error(self) -> str:
        """The exception that ended it, or the last line of its standard error, or else that it printed."""
        said = crash.last_words(self.folder / ERRORS, printed=self.output())
        killed = f"it {crash.ending(self.status)}" if self.status < 0 else f"exit status {self.status}"
        if self.status < 0 and said != "nothing":
            return f"{killed} and said: {said.strip()}"
        return killed if said == "nothing" else said.strip()


@dataclass(frozen=True)
class Tracer:
    """Runs a command with plans. `native` watches for generators that are not Python's."""

    command: list[str]
    environ: dict[str, str]
    folder: Path
    log: Callable[[str], None]
    native: Watch = NOT_WATCHED
    limit: float | None = None  # seconds
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, plan: Plan, variables: dict[str, str] | None = None) -> Run:
        """Run it, with more variables, to its end or the plan's. TimeoutExpired: it had to be ended at the limit."""
        folder = self.folder / f"run-{next(self.numbers)}"
        folder.mkdir(parents=True)
        plan.write(folder)
        environ = {"PYTHONFAULTHANDLER": "1", **self.native.environ(self.environ | (variables or {}), folder / NATIVE)}
        with (folder / OUTPUT).open("xb") as output, (folder / ERRORS).open("xb") as errors:
            process = start(
                self.command,
                {**environ, journal.VARIABLE: str(folder.resolve()), **AS_BY_HAND},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
            try:
                begin = time.monotonic()
                return Run(folder, process.wait(self.limit), time.monotonic() - begin, cut=plan.last > 0)
            except BaseException:
                end(process)
                raise


def end(process: subprocess.Popen) -> None:
    """With everything it has started."""
    os.killpg(process.pid, 9)
    process.wait()
