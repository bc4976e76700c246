"""Compares a resumed training with one that was never interrupted, and says what was not restored."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from seedbed import crash
from seedbed.compare import WORLD_SIZE, Difference, difference_of, first_difference, position
from seedbed.recording import launch
from seedbed.recording.record import Rank, Record, Step

Outcome = Literal["equal", "differs", "restarted", "crashed", "unrepeatable", "not stopped", "no checkpoint"]
WRONG_USE = ("not stopped", "no checkpoint")
STATISTICS = "statistics"
STATES = {  # what a step's record calls it -> for people
    "weights": "the model's weights",
    STATISTICS: "the statistics of BatchNorm (or other buffers of the model)",
    "optimizer": "the optimizer's state",
    "rate": "the learning rate",
    "scaler": "the gradient scaler",
    "python": "Python's generator (random)",
    "numpy": "numpy's global generator",
    "torch": "torch's CPU generator",
    "tensorflow": "TensorFlow's seed or global generator",
    "keras": "Keras' global generator",
    "layers": "the generators of Keras layers",
}
DATA = ("batch", "inputs")  # the last batch of a loader, and what the model was called with
GPU, OWN = "cuda:", "own "


@dataclass(frozen=True)
class Finding:
    """What came of one place: `after` is how many steps the resumed run found done, `difference` the first one, by the
    steps of the whole training. `states` were not restored; with equal steps they have had no effect."""

    at: int
    outcome: Outcome
    after: int | None = None
    difference: Difference | None = None
    states: tuple[str, ...] = ()
    data: str = ""  # what became of the order of the data
    since: int | None = None  # the step from which the states differ
    compared: int = 0  # steps
    note: str = ""
    written: tuple[str, ...] = ()  # files, until it was cut off

    @property
    def not_restored(self) -> list[str]:
        """For people, the data first."""
        return [*filter(None, [self.data]), *map(named, self.states)]


def named(state: str) -> str:
    if state.startswith(OWN):
        return f"your generator {state.removeprefix(OWN)}"
    if state.startswith(GPU):
        return f"torch's generator of GPU {state.removeprefix(GPU)}"
    return STATES.get(state, state)


def before_resuming(whole: Record, cut: Record, at: int, written: tuple[str, ...]) -> Finding | None:
    """Why there is no point in resuming it. None: there is one."""
    if finding := unrepeatable(whole, cut, at, written):
        return finding
    if cut.steps[-1].number == whole.steps[-1].number:
        return Finding(at, "not stopped", note="the training ignores the signal and runs to its end")
    if cut.steps[-1].number < at:
        ended = crash.ending(cut.status) if cut.status is not None else "ended"
        return Finding(at, "crashed", note=f"the run {ended} before step {at}: {launch.last_words(cut.path)}")
    if not written:
        return Finding(at, "no checkpoint", note="the script has written no file by then")
    return None


def unrepeatable(whole: Record, cut: Record, at: int, written: tuple[str, ...]) -> Finding | None:
    """Two runs that do not agree before any interruption: that has to be mended first."""
    until = min(at, cut.steps[-1].number if cut.steps else 0)
    shared = "it goes on where the run before has ended: have the script write to '{folder}', see --help"
    if not until:
        return Finding(at, "unrepeatable", note=f"a second run took no step; perhaps {shared}", written=written)
    difference = first_difference(*as_far_as_both(whole, cut, until))
    if difference is None:
        return None
    weights = cut.steps[0].states.get("weights")
    first, *later = (step.states.get("weights") for step in whole.steps)
    resumes = weights is not None and weights != first and weights in (*later, whole.steps[-1].values.get("parameters"))
    return Finding(at, "unrepeatable", difference=difference, note=shared if resumes else "", written=written)


def as_far_as_both(whole: Record, cut: Record, step: int) -> tuple[Record, Record]:
    """Without what comes after that step, nor what was printed or written.

    Ranks that a launcher has ended are compared as far as they came, and not at all if they had not begun.
    """
    ends: dict[int, int] = {}
    for rank in cut.ranks:
        if rank.steps and not rank.thread:
            ends[rank.rank] = min(ends.get(rank.rank, step), rank.steps[-1].number)

    def part(record: Record) -> Record:
        known = (rank for rank in record.ranks if rank.rank in ends and not rank.thread)
        return Record(record.path, record.facts, tuple(up_to(rank, ends[rank.rank]) for rank in known))

    return part(whole), part(cut)


def up_to(rank: Rank, step: int) -> Rank:
    return replace(rank, steps=tuple(found for found in rank.steps if found.number <= step), epochs=(), finished=True)


def resumed(whole: Record, again: Record, at: int, written: tuple[str, ...]) -> Finding:
    """The verdict on a resumed run."""
    if again.status:
        return Finding(at, "crashed", note=launch.failure(again, "the resumed run"), written=written)
    if not again.steps:
        note = "the resumed run takes no step: it considers the training finished"
        difference = Difference("steps", (str(whole.steps[-1].number), "0"))
        return Finding(at, "differs", difference=difference, note=note, written=written)
    if again.world_size != whole.world_size:
        difference = Difference(WORLD_SIZE, (str(whole.world_size), str(again.world_size)))
        return Finding(at, "differs", difference=difference, note="it is another experiment", written=written)
    after = steps_done(whole.steps, again.steps, at)
    if not after:
        return Finding(at, "restarted", after=0, written=written)
    whole, again = comparable(whole, 0, after + 1), comparable(again, after, after + 1)
    difference = first_of_ranks(whole, again)
    expected, found = steps_of(whole, difference), steps_of(again, difference)
    difference = difference or of_statistics(expected, found)
    since, states = differing_states(expected, found)
    outcome: Outcome = "differs" if difference else "equal"
    if since is None or since > (difference.step if difference else after + 1):
        since, states = None, ()  # what differs only later follows from the difference, or from something else
    data = order_of_data(expected, found, difference.step) if difference and difference.kind == "data" else ""
    return Finding(at, outcome, after, difference, states, data, since, len(found), written=written)


def comparable(record: Record, done: int, first: int) -> Record:
    """With its steps numbered as those of the whole training, of which `done` came before, and without initial values.

    What the `first` step after resuming has loaded counts only as far as it trains on it: batches that it skips are
    none of its own, nor is a validation that is not repeated.
    """

    def step_of(step: Step) -> Step:
        number, values = step.number + done, {kind: text for kind, text in step.values.items() if kind != "initial"}
        if number == first and (data := trained_on(step)):
            values["data"] = data
        return replace(step, number=number, values=values)

    return replace(record, ranks=tuple(replace(rank, steps=tuple(map(step_of, rank.steps))) for rank in record.ranks))


def steps_of(record: Record, difference: Difference | None) -> tuple[Step, ...]:
    """Those of the rank that differs, or else of the first."""
    place = (difference.rank, difference.thread) if difference else None
    return next((rank.steps for rank in record.ranks if (rank.rank, rank.thread) == place), record.steps)


def steps_done(whole: tuple[Step, ...], again: tuple[Step, ...], at: int) -> int:
    """How many steps the resumed run found done: its weights are those that a step of the whole training began with.

    If several steps began with these weights, it is the step that agrees most in other things; if none did, the number
    of steps says it.
    """
    by_length = max(0, whole[-1].number - again[-1].number)
    known = next((step for step in again if "weights" in step.states), None)
    if known is None:
        return by_length
    alike = [step for step in whole if step.states.get("weights") == known.states["weights"]]
    done = {step.number - known.number: step for step in alike if step.number >= known.number}
    if not done or (set(done) == {0} and by_length):  # weights made anew, in a run that counts on
        return by_length
    return max(done, key=lambda number: (agreement(done[number], known), number == by_length, number <= at, number))


def agreement(a: Step, b: Step) -> int:
    """In how many things two steps agree."""
    return sum(a.states.get(name) == text for name, text in b.states.items()) + (
        a.values.get("loss") == b.values.get("loss")
    )


def first_of_ranks(whole: Record, again: Record) -> Difference | None:
    """The first, of all ranks."""
    others = {(rank.rank, rank.thread): rank for rank in whole.ranks}
    pairs = ((others.get((rank.rank, rank.thread)), rank) for rank in again.ranks)
    found = (difference_of(other, rank) for other, rank in pairs if other)
    return min(filter(None, found), key=position, default=None)


def of_statistics(whole: tuple[Step, ...], found: tuple[Step, ...]) -> Difference | None:
    """They are a part of the trained model, although no number of the training may follow from them."""
    expected = {step.number: step for step in whole}
    for step in found:
        if (other := expected.get(step.number)) and not same_state(other, step, STATISTICS):
            return Difference(STATISTICS, (other.states[STATISTICS], step.states[STATISTICS]), step.number)
    return None


def same_state(a: Step, b: Step, name: str) -> bool:
    """Or it is not known of both."""
    return name not in a.states or name not in b.states or a.states[name] == b.states[name]


def differing_states(whole: tuple[Step, ...], found: tuple[Step, ...]) -> tuple[int | None, tuple[str, ...]]:
    """The first step that begins with any other state, and which states these are."""
    expected = {step.number: step for step in whole}
    for step in found:
        other = expected.get(step.number, step)
        if names := [name for name in step.states if name not in DATA and not same_state(other, step, name)]:
            order = list(STATES)
            return step.number, tuple(sorted(names, key=lambda name: order.index(name) if name in order else 99))
    return None, ()


def order_of_data(whole: tuple[Step, ...], again: tuple[Step, ...], number: int) -> str:
    """What is wrong with it at this step, in words; empty if the step has its own batch."""
    expected = {step.number: batch_of(step) for step in whole}
    step = next((step for step in again if step.number == number), None)
    if step is None or batch_of(step) in (None, expected.get(number)):
        return ""
    places = [place for place, batch in expected.items() if batch == batch_of(step)]
    if not places:
        return f"the order of the data: step {number} has a batch that the other run never had (shuffled again?)"
    if earlier := [place for place in places if place < number]:
        return f"the order of the data: step {number} repeats the batch of step {earlier[-1]} (the epoch began again?)"
    skipped = places[0] - number
    return f"the order of the data: step {number} has the batch of step {places[0]}: {skipped} skipped"


def batch_of(step: Step) -> str | None:
    """What it was given: the last batch of a loader, or else what the model was called with."""
    return step.states.get("batch") or step.states.get("inputs") or step.values.get("data")


def trained_on(step: Step) -> str | None:
    found = [step.states[name] for name in DATA if name in step.states]
    return " ".join(found) or step.values.get("data")


def status_of(findings: tuple[Finding, ...]) -> int:
    """The exit status: 0 if all are equal, 2 if all that is wrong is how it was asked."""
    count = Counter(finding.outcome for finding in findings)
    if count["equal"] == len(findings):
        return 0
    return 2 if all(outcome in ("equal", *WRONG_USE) for outcome in count) else 1
