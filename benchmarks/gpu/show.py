"""Raw results as tables of Markdown, and the costs as a picture. Standard library only."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import summary
from benchmarks.gpu.summary import EQUAL, Spread
from benchmarks.plot import Bar, chart

AIM = 1.05
"""How many times as long a step may take in strict as in off, as the geometric mean over all workloads."""

REFERENCE = "off"
Runs = dict[str, dict[str, list[dict[str, Any]]]]
"""By workload, then by configuration."""


def main(files: Sequence[Path], svg: Path | None) -> int:
    """Print the tables; exit status 1 where what was claimed was contradicted, or what was expected did not come."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    for document in documents:
        print(f"{heading(document)}\n\n{TABLES[document['part']](document)}\n")
        for process in failed(document):
            print("Failed: {group}, {configuration}, round {round}: status {status}: {said}".format(**process))
    if svg:
        costs = next(document for document in documents if document["part"] == "cost")
        svg.write_text(picture(costs), encoding="utf-8")
    complaints = [complaint for document in documents for complaint in complaints_of(document)]
    for complaint in complaints:
        print(f"CONTRADICTED: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def heading(document: Mapping[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in document["machine"].items())
    quick = "a rehearsal: times mean nothing, " if document["options"]["quick"] else ""
    return f"{document['part']} on {document['options']['device']} ({quick}{machine}, {document['seconds']} s)"


def failed(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The processes that did not end well: what they did not get to is missing from the tables."""
    return [process for process in document.get("processes", ()) if process["status"]]


def runs_of(document: Mapping[str, Any]) -> Runs:
    """Each workload's results, with the round that each is from. A process that crashed leaves what it did before."""
    runs: Runs = {}
    for process in document["processes"]:
        for result in process["results"]:
            of = runs.setdefault(result["workload"], {}).setdefault(process["configuration"], [])
            of.append(result | {"round": process["round"]})
    return runs


def bits_table(document: Mapping[str, Any]) -> str:
    rows = [
        (name, *(cell(of, mode) for mode in ("strict", "warn", "off")), judged(of))
        for name, of in runs_of(document).items()
    ]
    return f"{table(('workload', 'strict', 'warn', 'off', 'as claimed'), rows)}\n\n{control(document)}"


def cell(of: Mapping[str, list[dict[str, Any]]], configuration: str) -> str:
    """`equal (10)`, `3 of 10 different`, `refused (10)`."""
    runs = of.get(configuration, [])
    found = summary.outcome(runs)
    return (
        f"{summary.distinct(runs)} results in {len(runs)}" if found == summary.DIFFERENT else f"{found} ({len(runs)})"
    )


def verdicts(of: Mapping[str, list[dict[str, Any]]]) -> dict[str, str]:
    """By mode, whether what was found is what was claimed."""
    unrestricted = summary.outcome(of.get("off", []))
    claims = next(run["claims"] for runs in of.values() for run in runs)
    return {
        mode: summary.verdict(claims[mode], summary.outcome(of.get(mode, [])), unrestricted)
        for mode in ("strict", "warn")
    }


def judged(of: Mapping[str, list[dict[str, Any]]]) -> str:
    found = verdicts(of)
    if len(set(found.values())) == 1:
        return {summary.AS_CLAIMED: "yes"}.get(found["strict"], found["strict"])
    return ", ".join(f"{mode}: {what}" for mode, what in found.items() if what != summary.AS_CLAIMED)


def control(document: Mapping[str, Any]) -> str:
    """Whether equal runs prove anything: without the layer some have to differ."""
    outcomes = [summary.outcome(of.get("off", [])) for of in runs_of(document).values()]
    differing = outcomes.count(summary.DIFFERENT)
    return f"Control: in mode off {differing} of {len(outcomes)} workloads gave different results."


def variables_table(document: Mapping[str, Any]) -> str:
    """For each thing taken away, the workloads that did not come out as with nothing taken away."""
    runs = runs_of(document)
    removed = list(dict.fromkeys(name for of in runs.values() for name in of if name != "nothing"))
    columns = ("taken away", "then different", "then refused", "else", "as before")
    return f"{table(columns, [worth(runs, name) for name in removed])}\n\n{unsteady(runs)}"


def unsteady(runs: Runs) -> str:
    """What proves nothing, as it does not repeat with everything in place either."""
    names = [name for name, of in runs.items() if summary.outcome(of.get("nothing", [])) != EQUAL]
    return f"Left out, not seen equal with everything in place: {', '.join(names) or 'none'}."


def worth(runs: Runs, removed: str) -> tuple[str, ...]:
    """Workloads that repeat with everything in place, by what they do without `removed`."""
    became: dict[str, list[str]] = {}
    for name, of in runs.items():
        if removed in of and summary.outcome(of.get("nothing", [])) == EQUAL:
            same_value = {run.get("digest") for run in of[removed]} == {run.get("digest") for run in of["nothing"]}
            found = summary.outcome(of[removed])
            became.setdefault(found if found != EQUAL or same_value else "other", []).append(name)
    others = [f"{name} (equal, other bits)" for name in became.get("other", [])]
    others += [f"{name} (one run)" for name in became.get(summary.ONCE, [])]
    cells = (became.get(summary.DIFFERENT, []), became.get(summary.REFUSED, []), others)
    return removed, *(", ".join(names) or "-" for names in cells), str(len(became.get(EQUAL, [])))


def cost_table(document: Mapping[str, Any]) -> str:
    """Ratios to mode off, paired by round: the median, and from the least to the largest."""
    configurations = list(dict.fromkeys(process["configuration"] for process in document["processes"]))
    others = [name for name in configurations if name != REFERENCE]
    rows = [
        (name, step(of), *(ratio_cell(of, other, "seconds") for other in others))
        for name, of in runs_of(document).items()
    ]
    means = ("**geometric mean**", "", *(mean_cell(document, other, "seconds") for other in others))
    tables = [table(("workload", "off", *others), [*rows, means])]
    if document["options"]["device"] == "cuda":
        memory = [
            (name, *(ratio_cell(of, other, "allocated") for other in others)) for name, of in runs_of(document).items()
        ]
        means = ("**geometric mean**", *(mean_cell(document, other, "allocated") for other in others))
        tables.append(table(("most memory allocated", *others), [*memory, means]))
    return "\n\n".join(tables)


def step(of: Mapping[str, list[dict[str, Any]]]) -> str:
    """How long a step takes in mode off."""
    seconds = [run["seconds"] for run in of.get(REFERENCE, []) if "seconds" in run]
    return f"{1e3 * summary.spread(seconds).median:.2f} ms" if seconds else "refused"


def ratio(of: Mapping[str, list[dict[str, Any]]], configuration: str, what: str) -> Spread | None:
    """None: one of the two was refused, or not measured."""
    values, references = (
        {run["round"]: run[what] for run in of.get(name, []) if what in run} for name in (configuration, REFERENCE)
    )
    found = summary.paired(values, references)
    return summary.spread(found) if found else None


def ratio_cell(of: Mapping[str, list[dict[str, Any]]], configuration: str, what: str) -> str:
    found = ratio(of, configuration, what)
    return f"{found.median:.3f} ({found.least:.3f} to {found.largest:.3f})" if found else "refused"


def ratios(document: Mapping[str, Any], configuration: str, what: str) -> dict[str, float]:
    """The median ratio of every workload that has one."""
    found = {name: ratio(of, configuration, what) for name, of in runs_of(document).items()}
    return {name: one.median for name, one in found.items() if one}


def mean_cell(document: Mapping[str, Any], configuration: str, what: str) -> str:
    found = ratios(document, configuration, what)
    return f"**{summary.geometric_mean(list(found.values())):.3f}** ({len(found)})" if found else "-"


def picture(document: Mapping[str, Any]) -> str:
    """Strict against off: a bar for each workload, and one for their geometric mean."""
    found = ratios(document, "strict", "seconds")
    mean = summary.geometric_mean(list(found.values()))
    bars = [Bar(name, value, AIM) for name, value in (found | {"geometric mean": mean}).items()]
    machine = document["machine"].get("gpu", document["options"]["device"])
    return chart("A step in strict, against off", f"seconds, as a ratio; line: aim, {AIM}; {machine}", bars)


def overhead_table(document: Mapping[str, Any]) -> str:
    rows = [
        (f"start-up: {one['program']}", f"{one['with_ms']} ms, {one['difference_ms']:+} ms", str(one["ratio"]))
        for one in document["startup"]
    ]
    rows += [
        (f"{one['script']}: {one['kind']}", f"{one['wall']} s", str(one["wall_ratio"])) for one in document["watching"]
    ]
    return table(("what", "takes", "times as long as without"), rows)


def proof_table(document: Mapping[str, Any]) -> str:
    rows = [
        (name, f"{document[name]['status']} ({document[name]['expected']})", what_was_found(document[name]["found"]))
        for name in proofs(document)
    ]
    return table(("command", "status (expected)", "found"), rows)


def proofs(document: Mapping[str, Any]) -> list[str]:
    return [name for name, value in document.items() if isinstance(value, dict) and "expected" in value]


def what_was_found(found: Any) -> str:
    """A verdict or a cause, in a few words."""
    if isinstance(found, str):
        return found
    if "cause" in found:
        return found["cause"]["said"]
    return f"{found['verdict']['outcome']}, {len(found['runs'])} runs" if "verdict" in found else "no difference"


def complaints_of(document: Mapping[str, Any]) -> list[str]:
    if document["part"] == "bits":
        return [
            f"{name} in {mode}: claimed {next(iter(of[mode]))['claims'][mode]}, found {cell(of, mode)}"
            for name, of in runs_of(document).items()
            for mode, found in verdicts(of).items()
            if found == summary.CONTRADICTED
        ]
    if document["part"] == "proof":
        return [
            f"{name}: status {document[name]['status']}, expected {document[name]['expected']}"
            for name in proofs(document)
            if document[name]["status"] != document[name]["expected"]
        ]
    return []


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


TABLES = {
    "bits": bits_table,
    "variables": variables_table,
    "cost": cost_table,
    "overhead": overhead_table,
    "proof": proof_table,
}
