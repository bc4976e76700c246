"""The journal of a traced process: one JSON line an event, written at once, so that a killed process loses none.

Lines hold nothing that varies by nature (no address, no process ID, no time): two equal runs have equal journals.
"""

import atexit
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from seedbed import callers, disclosure, lineage, process
from seedbed.native.variables import without
from seedbed.observe.lines import Lines, first_new

HIDDEN = "maybe uninitialised"  # in place of a fingerprint
VARIABLE = "SEEDBED_TRACE"
PLAN = "plan.json"
AUTOGRAPH = "__autograph_generated_file"  # TensorFlow's copies of user code, under a new name in every run
DEPTH = 8  # user's frames that are kept of a call stack


@dataclass(frozen=True)
class Plan:
    """What a run writes down, and what it does differently."""

    first: int = 0  # the steps whose operations are written down, counted from 1; 0: none
    last: int = 0
    fill: int | None = None  # what memory that torch or numpy hands out uninitialised is filled with
    hides_fresh: bool = False  # leave such memory out of the journal, and show only what was computed from it
    change: str = ""  # one of seedbed.trace.changes
    places: tuple[str, ...] = ()  # "file:line": the change is made only there; empty: everywhere

    def write(self, folder: Path) -> None:
        with (folder / PLAN).open("x") as file:
            file.write(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        written = json.loads((folder / PLAN).read_text())
        return cls(**written | {"places": tuple(written["places"])})


plan = Plan()
steps = 0  # steps that this process has finished
running: list[str] = []  # the modules or layers that are running, outermost first
_lines: Lines | None = None
_owner = 0  # the process that writes them


def start() -> None:
    """Read the plan; write what the process starts from."""
    global plan
    plan = Plan.read(folder())
    write(start=sys.orig_argv, lineage=lineage.path, hash_seed=lineage.hash_seed, environment=surrounding_variables())
    atexit.register(finish)


def folder() -> Path:
    return Path(os.environ[VARIABLE])


def surrounding_variables() -> dict[str, str]:
    """The environment without what changes from run to run by our own doing; see `seedbed.disclosure`."""
    ours = (VARIABLE, lineage.VARIABLE, disclosure.KEY)
    found = disclosure.disclosed(without(dict(os.environ)))
    return {name: value for name, value in found.items() if name not in ours}


def write(**event) -> None:
    """A forked child begins a journal of its own with its first event."""
    global _lines, _owner
    if _lines is None or _owner != os.getpid():
        _lines, _owner = first_new(_names(), "journal"), os.getpid()
    _lines.write(event)


def is_detailed() -> bool:
    """Whether operations are written down now."""
    return plan.first <= steps + 1 <= plan.last


def see(what: str, name: str, tensors: list[str], writers: list[list[int]], **more) -> None:
    """A landmark: fingerprints of something that every step has, and the operations that made it."""
    write(seen=what, name=name, tensors=tensors, **more, places=places(), **{"from": writers})


def finish_step() -> None:
    """A training step is over. The process ends with the last step that is of interest, where it is the only one."""
    global steps
    steps += 1
    write(step=steps)
    if steps == plan.last and not lineage.path and process.rank() is None:
        finish()
        sys.stdout.flush()
        os.killpg(0, signal.SIGKILL)  # the command has a process group of its own: its workers end too


def finish() -> None:
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    write(sources=callers.users_files(), gpu=bool(cuda and cuda.is_initialized()))


def places() -> list[str]:
    """Where in the user's code this is, innermost first: "file:line in function"."""
    frame, found = sys._getframe(1), []
    while frame and len(found) < DEPTH:
        code = frame.f_code
        if is_users(code.co_filename) and AUTOGRAPH not in code.co_filename:
            found.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return found


is_users = cache(callers.is_users)


def _names() -> Iterator[Path]:
    """Of the file of this process, so that the processes of two runs can be paired: by rank, order and lineage."""
    rank, path = process.rank() or 0, lineage.path.replace("/", "-")
    return (folder() / f"{rank}-{number}{path}.jsonl" for number in range(1, 10000))
