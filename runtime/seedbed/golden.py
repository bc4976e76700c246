"""`seedbed golden FILE -- COMMAND`: a training's bits against those committed for machines of this kind.

For each command, and each class of devices it was recorded on, the file holds what the training came to and the lock of
the image it was made in: a lock that changes numbers shows as changed lines.
"""

import hashlib
import json
import os
import re
import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from seedbed import files
from seedbed.recording import launch
from seedbed.recording.record import Record

DIGITS = 12  # of a hash, where people read it


@dataclass(frozen=True)
class Golden:
    """What one training came to. `losses` is a sha256 over all steps' losses, `loss` the last one, all in bits.

    `parameters` is the record's last fingerprint of them. `lock` and `machine` are where that was found; they may
    differ where the bits do not.
    """

    lock: str
    machine: str
    seed: int
    mode: str
    steps: int
    loss: str
    losses: str
    parameters: str


ORIGIN = ("lock", "machine")


def golden(record: Record) -> Golden:
    """ValueError: the command failed, or trained nothing that could be compared."""
    if record.status:
        raise ValueError(launch.failure(record))
    steps = [step for rank in record.ranks for step in rank.steps]
    if not steps:
        raise ValueError("the command took no training step with torch or Keras")
    if lost := sum(rank.lost for rank in record.ranks):
        raise ValueError(f"{lost} steps are missing in the record {record.path}: is the disk full?")
    losses = "\n".join(step.values.get("loss", "") for step in steps)
    return Golden(
        record.facts["image"].get("lock", "none"),
        record.facts["gpus"][0] if record.facts["gpus"] else record.facts["cpu"]["model"],
        record.facts["seed"],
        record.facts["mode"],
        len(steps),
        steps[-1].values.get("loss", ""),
        hashlib.sha256(losses.encode()).hexdigest(),
        steps[-1].values.get("parameters", ""),
    )


def device_class(facts: dict) -> str:
    """Machines on which the same bits are expected: a GPU's model, or a processor's vendor and instruction sets.

    The number of threads counts too, since sums are split among them, and so does that of ranks.
    """
    processor = facts["cpu"]
    device = facts["gpus"][0] if facts["gpus"] else f"{processor['vendor']} {' '.join(processor['instructions'])}"
    size = facts.get("ranks", 1)
    return f"{device}, threads {facts['threads']}" + (f", world size {size}" if size > 1 else "")


def read(path: Path) -> dict[str, dict[str, Golden]]:
    """By command, then by class of devices; empty where there is no file. ValueError: it is not of that form."""
    if not os.path.lexists(path):
        return {}
    content = files.read(path)
    try:
        document = files.parsed(content)
        return {command: {name: checked(found) for name, found in of.items()} for command, of in document.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: expected golden fingerprints as seedbed golden --record writes them: {error}"
        ) from error


def checked(found: dict) -> Golden:
    """ValueError or TypeError: a field is missing, unknown, or not of its type."""
    one = Golden(**found)
    for known in fields(Golden):
        value = getattr(one, known.name)
        if type(value) is not known.type:
            raise ValueError(f"{known.name}: expected {known.type.__name__}, found {type(value).__name__}")
    return one


def write(path: Path, record: Record) -> str:
    """Put the record's in, whole or not at all, and say so. ValueError: see `read` and `golden`."""
    found, kind, now = read(path), device_class(record.facts), golden(record)
    known = found.setdefault(shlex.join(record.facts["command"]), {})
    then, known[kind] = known.get(kind, now), now
    document = {
        command: {name: asdict(one) for name, one in sorted(of.items())} for command, of in sorted(found.items())
    }
    files.write(path, (json.dumps(document, indent=2) + "\n").encode())
    changed = changes(then, now)
    before = f" ({origin(then, now)}): {changed}" if changed else ""
    return f"recorded as the golden fingerprint of {kind}: {now.steps} steps, loss {now.loss}{before}"


@dataclass(frozen=True)
class Answer:
    """`holds` is None where nothing is known of machines of this kind."""

    holds: bool | None
    text: str


def check(path: Path, record: Record) -> Answer:
    """Whether the record is what the file says. ValueError: see `read` and `golden`."""
    command, kind, now = shlex.join(record.facts["command"]), device_class(record.facts), golden(record)
    known = read(path).get(command, {})
    then = known.get(kind)
    if then is None:
        remedy = shlex.join(["seedbed", "golden", "--record", str(path), "--", *record.facts["command"]])
        others = of_other_sizes(known, record.facts)
        beside = f"; there is one of world size {', '.join(others)}, which is another experiment" if others else ""
        return Answer(None, f"no golden fingerprint of {command!r} on {kind}{beside}; to record it: {remedy}")
    if changed := changes(then, now):
        return Answer(False, f"differs from the golden fingerprint of {kind} ({origin(then, now)}): {changed}")
    return Answer(
        True, f"equals the golden fingerprint of {kind}: {now.steps} steps, loss {now.loss} ({origin(then, now)})"
    )


def of_other_sizes(known: dict[str, Golden], facts: dict) -> list[str]:
    """Those of which there are fingerprints on machines of this kind; ranks that share the CPUs have fewer threads."""
    device = device_class(facts).rpartition(", threads ")[0]
    form = re.compile(rf"{re.escape(device)}, threads \d+(?:, world size (\d+))?")
    sizes = {int(found[1] or 1) for found in map(form.fullmatch, known) if found} - {facts.get("ranks", 1)}
    return [str(size) for size in sorted(sizes)]


def origin(then: Golden, now: Golden) -> str:
    """Where both come from."""
    locks = dict.fromkeys(found.lock.removeprefix("sha256:")[:DIGITS] for found in (then, now))
    machines = dict.fromkeys((then.machine, now.machine))
    return f"lock {', now '.join(locks)}; {', now '.join(machines)}"


def changes(then: Golden, now: Golden) -> str:
    """What is no longer the same, from and to; empty where all is."""
    pairs = [(name, str(value), str(getattr(now, name))) for name, value in asdict(then).items() if name not in ORIGIN]
    return "; ".join(f"{name} {short(old)} is now {short(new)}" for name, old, new in pairs if old != new)


def short(value: str) -> str:
    return value if value.startswith(("0x", "-0x")) else value[:DIGITS]
