"""`seedbed trace --hunt`: one change at a time, until the runs are equal; what was changed is to blame."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace

from seedbed.environment import is_number
from seedbed.trace import cause, difference
from seedbed.trace.changes import CHANGES, Change
from seedbed.trace.run import Plan, Run, Tracer
from seedbed.trace.search import Finding

TIMES = 3  # runs that have to be equal before a change is said to help
NOTHING = Change("nothing changed", "nothing")
MOST_PLACES = 8
PATIENCE = 5  # times as long as a run took without the change


@dataclass(frozen=True)
class Trial:
    """One change. `helps`: all runs were equal with it. `places` are those in the user's code that it takes."""

    name: str
    helps: bool
    said: str
    places: tuple[str, ...] = ()

    @property
    def change(self) -> Change:
        return CHANGES[self.name]


FIRST = {  # what to try first, by the kind of the cause
    cause.OPERATION: ("threads", "algorithms", "attention", "benchmark", "oneDNN", "workers"),
    cause.FRESH: ("fill",),
    cause.DRAW: ("entropy", "clock", "workers"),
    cause.DATA: ("workers", "hash seed", "clock", "entropy", "fill"),
    cause.VALUE: ("clock", "entropy", "hash seed", "workers"),
    cause.LATER: ("clock", "entropy", "hash seed", "workers"),
    cause.PATH: ("hash seed", "workers", "clock", "entropy"),
}


def hunt(tracer: Tracer, finding: Finding) -> list[Trial]:
    """One change after the other, until one helps. Empty: the runs differ so seldom that no change can be judged."""
    tracer = replace(tracer, limit=PATIENCE * max(run.seconds for run in finding.runs) + 60)
    if not finding.detailed:  # else they have differed twice already
        tracer.log(f"up to {TIMES} runs without a change, to see whether they differ each time")
        if try_out(tracer, "")[0]:
            return []
    trials: list[Trial] = []
    for name in in_order(finding):
        trials.append(trial(tracer, name))
        if trials[-1].helps:
            break
    return trials


def in_order(finding: Finding) -> list[str]:
    """The changes that make sense, the likeliest first."""
    first = FIRST.get(finding.cause.kind, ())
    return [name for name in dict.fromkeys([*first, *CHANGES]) if is_sensible(CHANGES[name], finding.runs)]


def is_sensible(change: Change, runs: list[Run]) -> bool:
    """Whether there is anything that it could change."""
    if change.hash_seed:
        return not all(is_number(start["hash_seed"]) for start in events(runs, "start"))
    if change.gpu:
        return any(end["gpu"] for end in events(runs, "sources"))
    ready = {event["ready"] for event in events(runs, "ready")}
    return not change.libraries or not ready.isdisjoint(change.libraries)


def events(runs: list[Run], *kinds: str) -> Iterator[dict]:
    return (event for run in runs for event in run.events(*kinds))


def trial(tracer: Tracer, name: str) -> Trial:
    tracer.log(f"with {CHANGES[name].does}")
    equal, said, runs = try_out(tracer, name)
    if not equal:
        return Trial(name, False, said)
    places = sorted({event["acted"] for event in events(runs, "acted")})
    return Trial(name, True, said, narrowed(tracer, name, places))


def narrowed(tracer: Tracer, name: str, places: list[str]) -> tuple[str, ...]:
    """The one place at which the change is enough, if there is one."""
    if 1 < len(places) <= MOST_PLACES:
        for place in places:
            tracer.log(f"with {CHANGES[name].does}, only at {place}")
            if try_out(tracer, name, (place,))[0]:
                return (place,)
    return tuple(places)


def try_out(tracer: Tracer, name: str, places: tuple[str, ...] = ()) -> tuple[bool, str, list[Run]]:
    """Whether the runs are equal, or what is to be said of them, and the runs."""
    change = CHANGES.get(name, NOTHING)
    plan = Plan(fill=change.fill, change=name, places=places)
    runs: list[Run] = []
    while len(runs) < TIMES:
        try:
            runs.append(tracer.run(plan, change.environ))
        except subprocess.TimeoutExpired:
            return False, "it did not end in time", runs
        if runs[-1].failed:
            return False, f"it fails: {runs[-1].last_error()}", runs
        if len(runs) > 1 and difference.first([runs[0], runs[-1]]):
            return False, "the runs still differ", runs
    return True, f"{TIMES} runs are equal", runs
