"""The first landmark at which two runs of one command differ, and the operation that this goes back to."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile, zip_longest

from seedbed.observe.printed import steady
from seedbed.trace.run import Process, Run

LANDMARKS = ("seen", "step")
TO_PYTHON = ("aten._local_scalar_dense.default", "aten.is_nonzero.default", "aten.equal.default")


@dataclass(frozen=True)
class Difference:
    """Two events that should be equal, one of each run; None where a run had ended. `step` counts from 1."""

    step: int
    one: dict | None
    other: dict | None
    processes: tuple[Process, Process]
    at: int = 0  # how many landmarks came before

    def same(self, *keys: str) -> bool:
        """Whether both say the same there, and say it at all."""
        return all(self.one and self.other and key in self.one and self.one[key] == self.other.get(key) for key in keys)

    def changed(self, key: str) -> list[int]:
        """The positions in two lists that differ; none if one run had ended."""
        if self.one is None or self.other is None:
            return []
        pairs = zip(self.one.get(key, ()), self.other.get(key, ()), strict=False)
        return [position for position, (mine, theirs) in enumerate(pairs) if mine != theirs]


def first(runs: list[Run]) -> Difference | None:
    """The earliest between the first run and any other; None: they are equal.

    Where no landmark was seen at all, what they print counts, as step 0.
    """
    found = [difference for other in runs[1:] for difference in between(runs[0], other)]
    if not found and not any(True for run in runs for _ in run.events("seen")):
        found = [difference for other in runs[1:] for difference in of_output(runs[0], other)]
    return min(found, key=lambda difference: (difference.step, difference.at), default=None)


def between(one: Run, other: Run) -> Iterator[Difference]:
    """The first difference in each of the processes that train."""
    for name, process in one.processes.items():
        if name in other.processes and process.trains():
            yield from of_processes(process, other.processes[name])


def of_processes(one: Process, other: Process) -> Iterator[Difference]:
    step = 1
    landmarks = zip_longest(one.events(*LANDMARKS), other.events(*LANDMARKS))
    for at, (mine, theirs) in enumerate(landmarks):
        if without_history(mine) != without_history(theirs):
            yield Difference(step, mine, theirs, (one, other), at)
            return
        step += "step" in mine


def of_output(one: Run, other: Run) -> Iterator[Difference]:
    """The first line in which what they print differs, in more than times, rates and addresses."""
    for number, lines in enumerate(zip_longest(one.output(), other.output()), start=1):
        if len({line and steady(line) for line in lines}) > 1:
            shown = " and ".join("its absence" if line is None else repr(line) for line in lines)
            event = {"seen": "line", "name": f"line {number} of the output: {shown}", "places": []}
            main = [next(iter(run.processes.values())) for run in (one, other)]
            yield Difference(0, event, event, (main[0], main[1]), at=sys.maxsize)
            return


def without_history(landmark: dict | None) -> dict | None:
    """Operations that change nothing may come in between: their numbers do not count."""
    return landmark and {key: value for key, value in landmark.items() if key != "from"}


def origin(landmark: Difference) -> Difference:
    """The earliest operation that the difference goes back to and that goes back to no other.

    The landmark itself where it goes back to no operation that was written down.
    """
    search = Search(landmark)
    number = search.earliest()
    return landmark if number is None else search.pair(number)


class Search:
    """Goes back from a landmark through the operations that gave different results."""

    def __init__(self, landmark: Difference) -> None:
        self.landmark = landmark
        self.operations = [process.operations for process in landmark.processes]
        self.common = sum(1 for _ in takewhile(self.is_common, range(min(map(len, self.operations)))))

    def pair(self, number: int) -> Difference:
        """The operation with this number, in both runs."""
        one, other = (done[number] if number < len(done) else None for done in self.operations)
        return Difference(self.landmark.step, one, other, self.landmark.processes, self.landmark.at)

    def is_common(self, number: int) -> bool:
        return self.pair(number).same("op", "places")

    def earliest(self) -> int | None:
        if not self.landmark.same("seen", "name", "places"):
            parting = self.common if self.common < max(map(len, self.operations)) else None
            return next(self.given_to_python(self.common), parting)
        to_visit = self.behind(self.landmark, "tensors") or list(islice(self.drawn(self.common), 1))
        visited, ends = set(), []
        while to_visit:
            number = to_visit.pop()
            if number not in visited:
                visited.add(number)
                before = self.before(number)
                to_visit += before
                ends += [] if before else [number]
        return min(ends, default=None)

    def before(self, number: int) -> list[int]:
        """The operations that made this one differ; none: it is where the difference comes from."""
        pair = self.pair(number)
        if pair.one.get("generator") != pair.other.get("generator"):
            return []
        if not pair.same("arguments"):
            return list(islice(self.given_to_python(number), 1))
        if pair.same("inputs"):
            return []
        return self.behind(pair, "inputs") or list(islice(self.drawn(number), 1))

    def behind(self, pair: Difference, key: str) -> list[int]:
        """The operations that wrote what differs there, and wrote it differently."""
        writers = {writer for position in pair.changed(key) for writer in pair.one["from"][position]}
        return [writer for writer in writers if writer < self.common and self.wrote_differently(writer)]

    def wrote_differently(self, number: int) -> bool:
        """Or it is not known what it wrote: it had not ended when it returned."""
        pair = self.pair(number)
        return None in pair.one["outputs"] or not pair.same("outputs")

    def given_to_python(self, end: int) -> Iterator[int]:
        """The operations before that one that gave Python another number, by which it may have decided otherwise."""
        operations = enumerate(self.operations[0][: min(end, self.common)])
        given = (number for number, operation in operations if operation["op"] in TO_PYTHON or "generator" in operation)
        return (number for number in given if self.wrote_differently(number))

    def drawn(self, end: int) -> Iterator[int]:
        """Those that drew other random numbers, which may have come back by way of Python, as an index."""
        return (number for number in self.given_to_python(end) if "generator" in self.operations[0][number])
