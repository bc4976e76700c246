"""`seedbed golden FILE -- COMMAND`: a training's bits against those committed for machines of this kind.

The file holds, for each command and each class of devices, one fingerprint over all that was recorded, with the lock of
the image it was made in: a lock that changes numbers shows as a changed line.
"""

import hashlib
import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from seedbed.recording.record import Record


@dataclass(frozen=True)
class Golden:
    """What one training came to. `fingerprint` is over all steps; the others are for people to compare."""

    lock: str
    steps: int
    loss: str  # of the last step, in bits
    parameters: str
    fingerprint: str


def golden(record: Record) -> Golden:
    """ValueError: nothing was recorded that could be compared."""
    steps = [step for rank in record.ranks for step in rank.steps]
    if record.status or not steps:
        raise ValueError(f"the command ended with status {record.status}, after {len(steps)} steps of training")
    everything = json.dumps([[step.number, step.values] for step in steps], sort_keys=True)
    last = steps[-1]
    return Golden(
        record.facts["image"].get("lock", "none"),
        len(steps),
        last.values.get("loss", ""),
        last.values.get("parameters", ""),
        hashlib.sha256(everything.encode()).hexdigest(),
    )


def device_class(facts: dict) -> str:
    """Machines on which the same bits are expected: a GPU's model, or a processor's vendor and instruction sets.

    The number of threads counts too, since sums are split among them.
    """
    if facts["gpus"]:
        return f"{facts['gpus'][0]}, {facts['threads']} threads"
    processor = facts["cpu"]
    return f"{processor['vendor']} {' '.join(processor['instructions'])}, {facts['threads']} threads"


def read(path: Path) -> dict[str, dict[str, Golden]]:
    """By command, then by class of devices; empty where there is no file. ValueError: it is not of that form."""
    if not path.exists():
        return {}
    try:
        document = json.loads(path.read_text())
        return {command: {name: Golden(**found) for name, found in of.items()} for command, of in document.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: expected golden fingerprints as seedbed golden --record writes them: {error}"
        ) from error


def write(path: Path, record: Record) -> None:
    """Put the record's in, whole or not at all."""
    found = read(path)
    found.setdefault(shlex.join(record.facts["command"]), {})[device_class(record.facts)] = golden(record)
    document = {
        command: {name: asdict(one) for name, one in sorted(of.items())} for command, of in sorted(found.items())
    }
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    partial.replace(path)


@dataclass(frozen=True)
class Answer:
    """`holds` is None where nothing is known of machines of this kind."""

    holds: bool | None
    text: str


def check(path: Path, record: Record) -> Answer:
    """Whether the record is what the file says. ValueError: see `read` and `golden`."""
    command, kind, now = shlex.join(record.facts["command"]), device_class(record.facts), golden(record)
    then = read(path).get(command, {}).get(kind)
    if then is None:
        remedy = f"seedbed golden --record {path} -- {command}"
        return Answer(None, f"no golden fingerprint for {command!r} on {kind}: record one with: {remedy}")
    if then.fingerprint == now.fingerprint:
        stale = (
            "" if then.lock == now.lock else f" (recorded with lock {then.lock[7:19]}, the same with {now.lock[7:19]})"
        )
        return Answer(True, f"{now.steps} steps have the golden bits{stale}")
    cause = "the lock is the same" if then.lock == now.lock else f"lock {then.lock[7:19]} became {now.lock[7:19]}"
    return Answer(False, f"other bits than the golden ones; {cause}: {changes(then, now)}")


def changes(then: Golden, now: Golden) -> str:
    """Which of the values that people can compare changed, from and to."""
    pairs = {name: (value, asdict(now)[name]) for name, value in asdict(then).items() if name != "lock"}
    seen = [f"{name} {old} is now {new}" for name, (old, new) in pairs.items() if old != new and name != "fingerprint"]
    return "; ".join(seen) or "steps before the last differ"
