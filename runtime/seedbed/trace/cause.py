"""Where a difference comes from: the operation itself, or what reached it from outside."""

from collections.abc import Iterator
from dataclasses import dataclass

from seedbed import disclosure
from seedbed.trace import suspects
from seedbed.trace.difference import Difference
from seedbed.trace.run import Process, Run
from seedbed.trace.suspects import NATIVE, ORDER, Suspect

OPERATION, FRESH, DRAW, DATA, VALUE, PATH, LATER = (
    *("operation", "uninitialised memory", "random numbers", "data", "value from Python", "another path", "computed"),
)
NEXT_OF_DATASET = ("IteratorGetNext", "IteratorGetNextSync", "OptionalGetValue")
LANDMARKS = {
    "output": "the output of {}",
    "gradients": "a gradient that {} gets",
    "update": "a parameter after the step of {}",
    "result": "a variable after {}",
    "line": "{}",
}


@dataclass(frozen=True)
class Cause:
    """What made two runs differ.

    `kind` is one of the words above; `said` one sentence about the first difference. `certain` are the things outside
    of the computation that were seen to differ before it, `likely` the places in the sources that explain it.
    """

    kind: str
    said: str
    places: tuple[str, ...]
    module: str
    backward: str
    certain: tuple[str, ...] = ()
    likely: tuple[Suspect, ...] = ()


def of(difference: Difference, runs: list[Run]) -> Cause:
    """Of an origin, or of a landmark that goes back to nothing else."""
    kind, said, event = explained(difference)
    certain = () if kind == FRESH else tuple(surroundings(difference))
    if kind == OPERATION:  # it was given the same: of all outside, only the number of threads can matter
        certain = tuple(reason for reason in certain if "threads" in reason.lower())
    puzzling = kind not in (OPERATION, FRESH) and not certain
    return Cause(
        kind,
        said,
        tuple(event.get("places", ())),
        event.get("module", ""),
        event.get("backward", ""),
        certain,
        tuple(likely(difference, runs)) if puzzling else (),
    )


def explained(pair: Difference) -> tuple[str, str, dict]:
    """The kind, the sentence, and the event whose place is the place of the difference."""
    if pair.one is None or pair.other is None:
        longer = pair.one or pair.other
        return PATH, f"one run continues with {named(longer)}, the other has ended", longer
    if not pair.same("places") or not (pair.same("op") or pair.same("seen", "name")):
        return PATH, f"the runs take different paths: {named(pair.one)} and {named(pair.other)}", pair.one
    return landmark(pair) if "seen" in pair.one else operation(pair)


def landmark(pair: Difference) -> tuple[str, str, dict]:
    """One that goes back to no operation."""
    what, name = pair.one["seen"], pair.one["name"]
    if what == "batch":
        order = "the same rows in another order" if pair.same("rows") else "another batch"
        order = "the same batches in another order" if comes_elsewhere(pair) else order
        return DATA, f"{name} gives {order}", pair.one
    if what == "input":
        return DATA, f"{name} gets other inputs", pair.one
    return LATER, f"{LANDMARKS[what].format(name)} differs", pair.one


def operation(pair: Difference) -> tuple[str, str, dict]:
    one, other, name = pair.one, pair.other, pair.one["op"]
    if one.get("generator") != other.get("generator"):
        return DRAW, drawn(one, other), one
    if not pair.same("arguments"):
        return VALUE, f"{name} is called with other arguments: {one['arguments']} and {other['arguments']}", one
    if changed := pair.changed("inputs"):
        return input_changed(pair, changed[0])
    if filled_differently := pair.changed("hidden"):
        maker = written_by(pair, one["from"][filled_differently[0]][:1]) or one
        return FRESH, f"{name} reads memory that {maker['op']} allocated and that was not completely written", maker
    if name in NEXT_OF_DATASET:
        return DATA, "the dataset gives other elements", one
    if one.get("generator", {}).get("state") == "":
        return DRAW, f"{name} draws other numbers from the same seed: the order of the draws differs", one
    return OPERATION, f"{name} gives another result for the same inputs", one


def drawn(one: dict, other: dict) -> str:
    seeds = [event.get("generator", {}).get("seed") for event in (one, other)]
    if seeds[0] != seeds[1]:
        return f"{one['op']} draws from a generator with another seed: {seeds[0]} and {seeds[1]}"
    return f"{one['op']} draws from a generator in another state: something else has drawn from it before"


def input_changed(pair: Difference, position: int) -> tuple[str, str, dict]:
    """By something that is no operation written down."""
    one = pair.one
    shown, writers = one["inputs"][position], one["from"][position]
    if written := written_by(pair, writers[-1:]):
        maker = written["op"]
        if one.get("offsets") != pair.other.get("offsets"):
            return DATA, f"{one['op']} reads another part of what {maker} has made: an index differs", one
        return DATA, f"{one['op']} reads what {maker} has made, and something else has changed it since", one
    order = ": the same values come at another time" if comes_elsewhere(pair) else ""
    return DATA, f"{one['op']} gets other data ({shown.partition(' ')[0]}), not made by an operation{order}", one


def written_by(pair: Difference, writers: list[int]) -> dict | None:
    """The first of these operations; None: there is none, or its journal does not have it."""
    done = pair.processes[0].operations
    return next((done[number] for number in writers if number < len(done)), None)


def comes_elsewhere(pair: Difference) -> bool:
    """Whether what one run was given here is given to the other run at another place: an order differs."""
    if pair.one is None or pair.other is None:
        return False
    key = "tensors" if "seen" in pair.one else "inputs"
    mine = {pair.one[key][position] for position in pair.changed(key)}
    return any(mine & set(event.get(key, ())) for event in pair.processes[1].events("seen", "op"))


def named(event: dict) -> str:
    return f"{event.get('op') or event.get('name') or 'the end of a step'}{at(event)}"


def at(event: dict) -> str:
    """Its innermost place, if there is one."""
    return f" at {event['places'][0]}" if event.get("places") else ""


def surroundings(difference: Difference) -> Iterator[str]:
    """What else differed, before the difference: environment, seeds, files."""
    left, right = (list(before(process, difference.at)) for process in difference.processes)
    yield from other_environment(left, right)
    yield from other_seeds(left, right)
    yield from other_files(left, right)


def before(process: Process, landmarks: int) -> Iterator[dict]:
    """The events other than computation, up to the landmark with this number."""
    for event in process.events("start", "seed", "file", "listing", "seen", "step"):
        if "seen" in event or "step" in event:
            landmarks -= 1
            if landmarks < 0:
                return
        else:
            yield event


def other_environment(left: list[dict], right: list[dict]) -> Iterator[str]:
    starts = [next((event["environment"] for event in events if "start" in event), {}) for events in (left, right)]
    for name in sorted(starts[0].keys() | starts[1].keys()):
        values = [start.get(name, "not set") for start in starts]
        if values[0] == values[1]:
            continue
        hidden = any(value.startswith(disclosure.HIDDEN) for value in values)
        found = "not the same in both runs (its value is not kept)" if hidden else " and ".join(values)
        yield f"the environment variable {name} is {found}"


def other_seeds(left: list[dict], right: list[dict]) -> Iterator[str]:
    pairs = zip(*([event for event in events if "seed" in event] for events in (left, right)), strict=False)
    for mine, theirs in pairs:
        if mine != theirs:
            yield f"{mine['seed']}{at(mine)} is given {mine['value']} and {theirs['value']}"
            return


def other_files(left: list[dict], right: list[dict]) -> Iterator[str]:
    for kind in ("file", "listing"):
        one, other = ({event[kind]: event for event in events if kind in event} for events in (left, right))
        for path in sorted(one.keys() | other.keys()):
            event = one.get(path) or other[path]
            states = [known[path]["fingerprint"] if path in known else "not read" for known in (one, other)]
            from_bytecode = path.endswith(".py") and "not read" in states  # what the run before it has compiled
            if states[0] != states[1] and not from_bytecode:
                place = at(event)
                yield f"the {kind} {path} differs ({states[0]}; {states[1]}), read{place and f',{place}'}"


def likely(difference: Difference, runs: list[Run]) -> list[Suspect]:
    """What may explain it: native generators that were seen, what the sources hold; of an order, what disorders."""
    sources = {file for run in runs for event in run.events("sources") for file in event["sources"]}
    native = dict.fromkeys(Suspect(NATIVE, row.file, row.line, row.what) for run in runs for row in run.native())
    found = [*native, *(suspect for file in sorted(sources) for suspect in suspects.of_file(file))]
    if comes_elsewhere(difference) or difference.same("rows"):
        return [suspect for suspect in found if suspect.kind in (NATIVE, ORDER)] or found
    return found
