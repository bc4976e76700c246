"""What a trace has found, for people and for programs."""

import json
import os
import re
from dataclasses import asdict

from seedbed.trace import cause
from seedbed.trace.cause import Cause
from seedbed.trace.hunt import TIMES, Trial
from seedbed.trace.search import Finding
from seedbed.trace.suspects import NATIVE, Suspect

SEEN = {
    "batch": "the batch of {}",
    "input": "the inputs of {}",
    "output": "the output of {}",
    "gradients": "the gradients that {} gets",
    "update": "the parameters after {}",
    "result": "the variables after {}",
    "line": "{}",
}
ADVICE = {
    cause.OPERATION: "Use another operation, or one thread (--hunt tries it). Mode strict refuses known ones.",
    cause.FRESH: "Write to all of it before it is read: torch.zeros instead of torch.empty.",
    cause.DRAW: "Give that generator a seed that follows from SEEDBED_SEED.",
}
ONLY_PRINTED = "No training step of torch or Keras was found, so the printed lines were compared."
UNSEEN = "No operation differed: the difference is rare, or does not occur while operations are recorded."
NATIVE_GENERATORS = "Native generators that no seed reaches:"
SOURCES = "Places in the sources that no seed makes repeatable:"
MOST_SUSPECTS = 12


def as_text(finding: Finding, trials: list[Trial] | None) -> str:
    """One screen."""
    if finding.landmark is None:
        return equal(finding)
    parts = [first_difference(finding), origin(finding), reasons(finding.cause)]
    if trials is not None:
        parts.append(hunted(trials, finding.cause))
    return "\n\n".join(part for part in parts if part)


def equal(finding: Finding) -> str:
    steps = finding.steps()
    what = f"{steps} steps of {len(finding.runs)} runs" if steps else f"what {len(finding.runs)} runs printed"
    failed = [run for run in finding.runs if run.failed]
    if not failed:
        return f"No difference in {what}."
    return f"No difference in {what}, but {len(failed)} of them failed: {failed[0].last_error()}"


def first_difference(finding: Finding) -> str:
    """Where the runs are first seen to differ."""
    landmark = finding.landmark
    event = landmark.one or landmark.other
    seen = SEEN[event["seen"]].format(event["name"]) if "seen" in event else "the number of steps"
    known = event.get("labels", ())
    labels = [known[position] for position in landmark.changed("tensors") if position < len(known)]
    which = f" ({', '.join(labels[:3])}{', …' if len(labels) > 3 else ''})" if labels else ""
    of_rank = f" of rank {landmark.processes[0].rank}" if finding.runs[0].has_ranks else ""
    step = f"step {landmark.step}{of_rank}: " if landmark.step else ""
    return f"The runs differ, first in {step}{seen}{which}."


def origin(finding: Finding) -> str:
    """What that goes back to, and where it is."""
    if not finding.landmark.step:
        return ONLY_PRINTED
    found = finding.cause
    direction = f"backward of {found.backward}" if found.backward else "forward"
    module = f" in {found.module}, {direction}" if found.module else ""
    lines = [f"The difference starts where {found.said}{module}", *(f"    {short(place)}" for place in found.places)]
    return "\n".join(lines if finding.detailed or found.certain else [*lines, UNSEEN])


def reasons(found: Cause) -> str:
    """What else differed; else what may be to blame."""
    if found.certain:
        return "\n".join(["Cause:", *(f"    {short(reason)}" for reason in found.certain)])
    if found.likely:
        native = [suspect for suspect in found.likely if suspect.kind == NATIVE]
        sources = [suspect for suspect in found.likely if suspect.kind != NATIVE]
        shown = suspected(NATIVE_GENERATORS, native) + suspected(SOURCES, sources)
        return "No other difference was found. " + "\n".join(shown)
    return ADVICE.get(found.kind, "")


def suspected(heading: str, suspects: list[Suspect]) -> list[str]:
    """Lines; none if there are no suspects."""
    return [heading, *(f"    {short(str(suspect))}" for suspect in suspects[:MOST_SUSPECTS])] if suspects else []


def hunted(trials: list[Trial], found: Cause) -> str:
    """Each change and what came of it; then who is to blame."""
    if not trials:
        return f"No cause found: {TIMES} runs were equal without any change. The difference is too rare to judge."
    rows = [f"    {'helps' if trial.helps else '-':6}{trial.change.does}: {trial.said}" for trial in trials]
    blamed = [f"Cause: {trial.change.blames}{at(trial, found)}" for trial in trials if trial.helps]
    return "\n".join(["One change at a time:", *rows, "", *(blamed or ["None of these changes helps."])])


def at(trial: Trial, found: Cause) -> str:
    """Where the change was made; one that is made everywhere has helped the operation that was seen to differ."""
    places = trial.places or (found.places[:1] if found.kind == cause.OPERATION else ())
    return f", at {', '.join(map(short, places))}" if places else ""


def short(text: str) -> str:
    """With paths below this folder as seen from it."""
    return re.sub(rf"(?<![^\s(]){re.escape(os.getcwd())}/", "", text)


def as_json(finding: Finding, trials: list[Trial] | None) -> str:
    document: dict = {"equal": finding.landmark is None, "runs": len(finding.runs), "steps": finding.steps()}
    if finding.landmark:
        event = finding.landmark.one or finding.landmark.other
        document |= {"step": finding.landmark.step, "seen": event.get("seen"), "name": event.get("name")}
        document |= {"rank": finding.landmark.processes[0].rank if finding.runs[0].has_ranks else None}
        document |= {"detailed": finding.detailed, "cause": asdict(finding.cause)}
    if trials is not None:
        document["hunt"] = [asdict(trial) | {"blames": trial.change.blames} for trial in trials]
    return json.dumps(document, indent=2)
