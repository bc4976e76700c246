"""What `seedbed resume` says: for people, and as JSON."""

import json
import shlex
import signal
from dataclasses import asdict

from seedbed.recording.facts import machine
from seedbed.resume import judge
from seedbed.resume.judge import WRONG_USE, Finding
from seedbed.resume.runs import Plan, Report
from seedbed.terminal import printable, table

VERDICTS = {
    "equal": "equal",
    "differs": "differs",
    "restarted": "starts from step 0",
    "crashed": "fails",
    "unrepeatable": "does not repeat",
    "not stopped": "was not stopped",
    "no checkpoint": "no checkpoint",
}
ADVICE = "What to save and how to restore it: docs/resume.md in Seedbed's repository"
SHOWN = 5  # files


def as_text(plan: Plan, report: Report) -> str:
    """Who ran, a row for each place, and what is wrong at the first place that is not equal."""
    facts, steps = report.whole.facts, report.whole.steps[-1].number
    heading = f"{shlex.join(plan.command)}\n{steps} steps, seed {facts['seed']}, mode {facts['mode']}, {machine(facts)}"
    rows = [("cut off after step", "resumed after step", "steps compared", "verdict"), *map(row, report.findings)]
    wrong = first_wrong(report)
    verdict = explained(plan, wrong) if wrong else equal(report)
    return "\n\n".join([heading, table(rows), verdict])


def first_wrong(report: Report) -> Finding | None:
    """The first place that is not equal; one that could not be tried only if there is no other."""
    wrong = [finding for finding in report.findings if finding.outcome != "equal"]
    return next((finding for finding in wrong if finding.outcome not in WRONG_USE), next(iter(wrong), None))


def row(finding: Finding) -> tuple[str, str, str, str]:
    after = "-" if finding.after is None else str(finding.after)
    return str(finding.at), after, str(finding.compared or "-"), VERDICTS[finding.outcome]


def equal(report: Report) -> str:
    text = "EQUAL: every step after resuming has the bits of the training without interruption."
    unused = dict.fromkeys(judge.named(state) for finding in report.findings for state in finding.states)
    return f"{text}\nNot restored, without effect on these steps: {', '.join(unused)}." if unused else text


def explained(plan: Plan, finding: Finding) -> str:
    """The verdict on one place in full."""
    by = f"Cut off ({signal.Signals(plan.signal).name}) after step {finding.at}"
    note = f" {finding.note[0].upper()}{finding.note[1:]}." if finding.note else ""
    match finding.outcome:
        case "differs":
            return "\n".join([f"DIFFERS. {by}, {went_on(finding)}{note}", *first(finding), *lost(finding), ADVICE])
        case "restarted":
            return f"STARTS FROM STEP 0. {by}, the script does not resume. {files(finding)}\n{ADVICE}"
        case "unrepeatable":
            text = ["DOES NOT REPEAT: two runs differ before any interruption." + note, *first(finding)]
            return "\n".join([*text, f"Find out why first: seedbed verify -- {shlex.join(plan.command)}"])
        case "crashed":
            return f"FAILS. {by}:{note}"
        case "no checkpoint":
            return f"NO CHECKPOINT. {by}:{note} Let it save more often, or name a later step with --at."
        case _:
            return f"NOT STOPPED. {by}:{note} Use --signal KILL."


def went_on(finding: Finding) -> str:
    return "" if finding.after is None else f"it resumes after step {finding.after}."


def files(finding: Finding) -> str:
    more = f" and {len(finding.written) - SHOWN} more" if len(finding.written) > SHOWN else ""
    return f"It had written: {', '.join(finding.written[:SHOWN])}{more}."


def first(finding: Finding) -> list[str]:
    if not finding.difference:
        return []
    names = ("without interruption", "resumed" if finding.outcome == "differs" else "second run")
    values = zip(names, finding.difference.values, strict=True)
    width = max(map(len, names))
    lines = [f"  {name:{width}}  {printable(value)}" for name, value in values]
    return [f"First difference: {finding.difference}.", *lines]


def lost(finding: Finding) -> list[str]:
    """What was not restored."""
    if not finding.not_restored:
        return ["All state that Seedbed sees was restored: look for state of your own."] if finding.compared else []
    late = finding.since is not None and finding.after is not None and finding.since > finding.after + 1
    since = f" (differs from step {finding.since} on)" if late else ""
    return [f"Not restored{since}:", *(f"  {printable(text)}" for text in finding.not_restored)]


def as_json(plan: Plan, report: Report) -> str:
    document = {
        "verdict": "equal" if all(finding.outcome == "equal" for finding in report.findings) else "not equal",
        "status": judge.status_of(report.findings),
        "command": plan.command,
        "steps": report.whole.steps[-1].number,
        "signal": signal.Signals(plan.signal).name,
        "places": [{**asdict(finding), "not_restored": finding.not_restored} for finding in report.findings],
        "facts": report.whole.facts,
    }
    return json.dumps(document, indent=2)
