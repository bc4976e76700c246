"""`seedbed run --audit`: runs the command with native generators watched, and reports for all its processes."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from seedbed import signals
from seedbed.audit import notes
from seedbed.native import events, preload
from seedbed.observe.launch import start

NOT_SEEN = "not seen: clocks as seeds in C++, RDRAND, races inside native threads; seedbed verify finds them"


def audited(environ: dict[str, str], start: Callable[[dict[str, str]], int]) -> int:
    """Start the command in this environment with what watches it, report on stderr, and return what it ends with."""
    with preload.watch() as watch, ExitStack() as until:
        native, collected = (place_for(name, until) for name in ("native", "python"))
        status = start(watch.environ({**environ, notes.COLLECTED: str(collected)}, native))
        report(watch, native, collected)
    return status


def place_for(name: str, until: ExitStack) -> Path:
    """Where the command's processes write what they find: in memory, since disks may be full or read-only."""
    memory = preload.in_memory(b"")
    return Path(memory) if memory else next(preload.private_folders(until), Path()) / name


def as_child(program: str, command: list[str], environ: dict[str, str]) -> int:
    """As if it were this process. Returns its exit status as a shell tells it: 128 and the signal that has ended it."""
    process = start(command, environ, executable=program)
    with process, signals.handed_on(process):
        status = process.wait()
    return status if status >= 0 else 128 - status


def report(watch: preload.Watch, native: Path, collected: Path) -> None:
    """What every Python and every library of the command has left behind."""
    found = list(events.lines(collected))
    places = places_of(found)
    places += [(row.file, row.line, row.description, 1) for row in events.rows([native])]
    undone = list(dict.fromkeys(what for line in found for what in line["undone"]))
    unwatched = [f"native generators are not watched: {watch.reason}"] if watch.reason else []
    rows = notes.rows(places)
    notes.show(rows, unwatched + undone + ([] if rows or unwatched else [NOT_SEEN]))


def places_of(found: list[dict]) -> list[tuple[str, int, str, int]]:
    """Those of all processes; what only some of several ranks have passed says which."""
    ranks = {line["rank"] for line in found if line.get("rank") is not None}
    passed: dict[tuple, set[int]] = {}
    for line in found:
        for file, number, what, _ in line["places"]:
            passed.setdefault((file, number, what), set()).add(line.get("rank"))
    only = {
        key: f" (rank {', '.join(map(str, sorted(those)))})"
        for key, those in passed.items()
        if those < ranks  # a process that is no rank has not passed it
    }
    return [
        (file, number, what + only.get((file, number, what), ""), count)
        for line in found
        for file, number, what, count in line["places"]
    ]
