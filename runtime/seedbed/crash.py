"""How a command ended that did not end well, and what it said last."""

import re
import signal
from collections.abc import Iterable
from pathlib import Path

from seedbed import files

SAID_LAST = 3  # lines
CRASH_SIGNALS = {signal.SIGKILL: " (out of memory?)", signal.SIGBUS: " (too little shared memory? see --shm-size)"}
TAKEN = re.compile(  # what somebody says who finds a port or a lock taken
    r"address already in use|EADDRINUSE|is locked|\block\b.*(held|acquire)|Resource temporarily unavailable",
    re.IGNORECASE,
)
LEFT = re.compile(r"FileExistsError|File exists|already exists|directory not empty|is not empty", re.IGNORECASE)
SIDE_BY_SIDE = "parallel runs draw the same random port or name: use --parallel 1"
LEFT_THERE = "another run left it there: give each run a folder of its own in the command, as in --out {0}"
OWN_PLACE = "out/{run}"
PREFIX = r"(?:\[[\w:]+\]: ?|[ |]*)"  # of a rank, or of a group of exceptions
TRACEBACK = re.compile(rf"({PREFIX})Traceback \(most recent call last\):")
FATAL = re.compile(r"Fatal Python error: .*")
NO_REASON = ("Exception ignored in", "Error in atexit", "Extension modules:")  # said on the way out
OF_TORCHRUN = "torch.distributed.elastic"


class Unfit(Exception):
    """A command cannot be judged: it fails by itself, or leaves nothing to compare."""


def ending(status: int) -> str:
    """`ended with status 1`, or which signal killed it (a negative status)."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"was killed by signal {-status}"
    return f"was killed by {number.name}{CRASH_SIGNALS.get(number, '')}"


def last_words(file: Path, count: int = 1, printed: Iterable[str] = ()) -> str:
    """The reason and the last lines that it wrote to its standard error, or else printed; `nothing` if there are none.

    The reason is the last exception that is not one of Python's own end: lines often follow it that say less.
    """
    lines = with_words(files.tail(file).splitlines())
    words = lines[-count:] or with_words(printed)[-count:]
    why = reason(lines)
    if why and why not in words:
        words = [why, *words[len(words) - count + 1 :]] if count > 1 else [why]
    return "\n".join(words) or "nothing"


def with_words(lines: Iterable[str]) -> list[str]:
    """Those that say something: no arrows of a traceback, no rules."""
    return [line.rstrip() for line in lines if line.strip(" ^~=-_*") and not line.startswith(NO_REASON[-1])]


def reason(lines: list[str]) -> str | None:
    """The line that names the exception (of torchrun: of the worker that failed first), or Python's fatal error."""
    found = []
    for number, line in enumerate(lines):
        if FATAL.fullmatch(line):
            where = next((inner.strip() for inner in lines[number:] if inner.startswith("  File ")), "")
            found.append(f"{line} ({where})" if where else line)
        elif (begin := TRACEBACK.fullmatch(line)) and not lines[max(number - 1, 0)].startswith(NO_REASON):
            found.append(exception_line(lines[number + 1 :], begin[1]))
    named = [line for line in found if line]
    of_torchrun = any(OF_TORCHRUN in line for line in lines)
    return (named[0] if of_torchrun else named[-1]) if named else None


def exception_line(lines: list[str], prefix: str) -> str | None:
    """The first line below a traceback's head that is indented no deeper."""
    below = (line.removeprefix(prefix) for line in lines if line.startswith(prefix))
    return next((line for line in below if not line.startswith((" ", "\t", "+"))), None)


def remedy(words: str, parallel: int, place: str = OWN_PLACE) -> str:
    """What helps against runs that take from one another what only one can have; empty if that is not the reason.

    `place` is how a command names one that is each run's own.
    """
    if LEFT.search(words):
        return LEFT_THERE.format(place)
    return SIDE_BY_SIDE if parallel > 1 and TAKEN.search(words) else ""
