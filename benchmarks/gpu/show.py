"""What a session found, as tables of Markdown, and the costs as a picture. Standard library only.

python3 benchmarks/gpu/show.py results/*.json --svg cost.svg
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.gpu import summary
from benchmarks.gpu.summary import DIFFERENT, EQUAL, Spread
from benchmarks.plot import Bar, chart

AIM = 1.05
"""How many times as long a step may take in strict as in off, as the geometric mean over all workloads."""

REFERENCE = "off"
Document = Mapping[str, Any]
"""What a part found: its rows, and with what."""

Runs = dict[str, dict[str, list[dict[str, Any]]]]
"""By workload, then by configuration."""


def show(paths: Sequence[Path]) -> int:
    """Print the tables; exit status 1 if something failed, or contradicts what is claimed."""
    documents = [read(path) for path in paths]
    for document in documents:
        print(f"{heading(document)}\n\n{TABLES[document['part']](document)}\n")
    complaints = [
        f"{document['part']}: {complaint}"
        for document in documents
        for complaint in (*failures(document), *contradictions(document))
    ]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def heading(document: Document) -> str:
    facts = {"part": document["part"], "device": document["options"]["device"], **document["machine"]}
    facts |= {"seconds": document["seconds"], "state": document["state"]}
    facts |= {"left out for lack of time": document["left_out"]} if document["left_out"] else {}
    quick = "Rehearsal, whose times mean nothing; " if document["options"]["quick"] else ""
    return quick + ", ".join(f"{name} {value}" for name, value in facts.items())


def failures(document: Document) -> list[str]:
    """What did not end as it should: the part, and its rows."""
    state = document["state"]
    wrong = [] if state == "done" or state.startswith("skipped: ") else [state]
    for row in document["rows"]:
        if document["part"] == "smoke":
            wrong += ["{image}: {check}: {detail}".format(**row)] if row["outcome"] == "failed" else []
        elif document["part"] == "proof":
            expected = row["status"] == row["expected"]
            wrong += [] if expected else ["{name}: status {status}, expected {expected}: {said}".format(**row)]
        elif row["status"]:
            wrong.append("{group}, {configuration}, round {round}: status {status}: {said}".format(**row))
    return wrong


def contradictions(document: Document) -> list[str]:
    """Workloads whose bits are not as docs/determinism.md claims."""
    if TABLES[document["part"]] is not bits_table:
        return []
    return [
        f"CONTRADICTED: {name} in {mode}: claimed {of[mode][0]['claims'][mode]}, found {cell(of, mode)}"
        for name, of in runs_of(document).items()
        for mode, found in verdicts(of).items()
        if found == summary.CONTRADICTED
    ]


def smoke_table(document: Document) -> str:
    columns = ("image", "check", "outcome", "seconds", "detail")
    made = [row for row in document["rows"] if row["outcome"] != "skipped"]
    rows = [[str(row[name]).replace("|", "/") for name in columns] for row in made]
    return f"{table(columns, rows)}\n\nSkipped: {len(document['rows']) - len(made)} checks."


def runs_of(document: Document) -> Runs:
    """Each workload's results, with the round of each. Of a process that crashed, what it did before counts."""
    runs: Runs = {}
    for process in sorted(document["rows"], key=lambda process: process["round"]):
        for result in process["results"]:
            of = runs.setdefault(result["workload"], {}).setdefault(process["configuration"], [])
            of.append(result | {"round": process["round"]})
    return runs


def bits_table(document: Document) -> str:
    rows = [
        (name, *(cell(of, mode) for mode in ("strict", "warn", "off")), judged(of))
        for name, of in runs_of(document).items()
    ]
    return f"{table(('workload', 'strict', 'warn', 'off', 'as claimed'), rows)}\n\n{control(document)}"


def cell(of: Mapping[str, list[dict[str, Any]]], configuration: str) -> str:
    """`equal (10)`, `3 results in 10`, `refused (10)`; `-`: no runs."""
    runs = of.get(configuration)
    if not runs:
        return "-"
    found = summary.outcome(runs)
    return f"{summary.distinct(runs)} results in {len(runs)}" if found == DIFFERENT else f"{found} ({len(runs)})"


def verdicts(of: Mapping[str, list[dict[str, Any]]]) -> dict[str, str]:
    """By mode that has runs, whether what was found is what is claimed."""
    off = of.get("off", [])
    unavailable = bool(off) and all("error" in run for run in off)
    return {
        mode: summary.verdict(of[mode][0]["claims"][mode], summary.outcome(of[mode]), unavailable)
        for mode in ("strict", "warn")
        if mode in of
    }


def judged(of: Mapping[str, list[dict[str, Any]]]) -> str:
    found = verdicts(of)
    if len(kinds := set(found.values())) == 1:
        return "yes" if kinds == {summary.AS_CLAIMED} else kinds.pop()
    return ", ".join(f"{mode}: {what}" for mode, what in found.items() if what != summary.AS_CLAIMED)


def control(document: Document) -> str:
    """Whether equal runs prove anything: with Seedbed disabled, some have to differ."""
    outcomes = [summary.outcome(of.get("off", [])) for of in runs_of(document).values()]
    differing = outcomes.count(DIFFERENT)
    return f"Control: in mode off {differing} of {len(outcomes)} workloads gave different results."


def variables_table(document: Document) -> str:
    """For each row that was removed, the workloads that did not end as with nothing removed."""
    runs = runs_of(document)
    removed = list(dict.fromkeys(name for of in runs.values() for name in of if name != "nothing"))
    columns = ("removed", "then different", "then refused", "otherwise changed", "as before")
    return f"{table(columns, [worth(runs, name) for name in removed])}\n\n{unsteady(runs)}"


def unsteady(runs: Runs) -> str:
    """Workloads that prove nothing: they were not seen to repeat with nothing removed either."""
    names = [name for name, of in runs.items() if summary.outcome(of.get("nothing", [])) != EQUAL]
    return f"Left out, not seen equal with nothing removed: {', '.join(names) or 'none'}."


def worth(runs: Runs, removed: str) -> tuple[str, ...]:
    """Workloads that repeat with nothing removed, by what they do without `removed`."""
    became: dict[str, list[str]] = {}
    for name, of in runs.items():
        if removed in of and summary.outcome(of.get("nothing", [])) == EQUAL:
            same_value = {run.get("digest") for run in of[removed]} == {run.get("digest") for run in of["nothing"]}
            found = summary.outcome(of[removed])
            became.setdefault(found if found != EQUAL or same_value else "other", []).append(name)
    others = [f"{name} (equal, other bits)" for name in became.get("other", [])]
    others += [f"{len(became[summary.ONCE])} with one run"] if summary.ONCE in became else []
    cells = (became.get(DIFFERENT, []), became.get(summary.REFUSED, []), others)
    return removed, *(", ".join(names) or "-" for names in cells), str(len(became.get(EQUAL, [])))


def cost_table(document: Document) -> str:
    """Ratios to mode off, paired by round: the median, and from the least to the largest."""
    configurations = list(dict.fromkeys(process["configuration"] for process in document["rows"]))
    others = [name for name in configurations if name != REFERENCE]
    rows = [
        (name, step(of), *(ratio_cell(of, other, "seconds") for other in others))
        for name, of in runs_of(document).items()
    ]
    means = ("**geometric mean**", "", *(mean_cell(document, other, "seconds") for other in others))
    tables = [table(("workload", "off", *others), [*rows, means]), f"The aim of strict: at most {AIM}."]
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
    return f"{1e3 * summary.spread(seconds).median:.2f} ms" if seconds else "-"


def ratio(of: Mapping[str, list[dict[str, Any]]], configuration: str, what: str) -> Spread | None:
    """None: one of the two was refused, or not measured."""
    values, references = (
        {run["round"]: run[what] for run in of.get(name, []) if what in run} for name in (configuration, REFERENCE)
    )
    found = summary.paired(values, references)
    return summary.spread(found) if found else None


def ratio_cell(of: Mapping[str, list[dict[str, Any]]], configuration: str, what: str) -> str:
    if found := ratio(of, configuration, what):
        return f"{found.median:.3f} ({found.least:.3f} to {found.largest:.3f})"
    return "refused" if any("error" in run for run in of.get(configuration, [])) else "-"


def ratios(document: Document, configuration: str, what: str) -> dict[str, float]:
    """The median ratio of every workload that has one."""
    found = {name: ratio(of, configuration, what) for name, of in runs_of(document).items()}
    return {name: one.median for name, one in found.items() if one}


def mean_cell(document: Document, configuration: str, what: str) -> str:
    found = ratios(document, configuration, what)
    return f"**{summary.geometric_mean(list(found.values())):.3f}** ({len(found)})" if found else "-"


def picture(document: Document) -> str:
    """Strict against off: a bar for each workload, and one for their geometric mean. ValueError: no ratio is there."""
    found = ratios(document, "strict", "seconds")
    mean = summary.geometric_mean(list(found.values()))
    bars = [Bar(name, value, AIM) for name, value in (found | {"geometric mean": mean}).items()]
    machine = document["machine"].get("gpu", document["options"]["device"])
    return chart("A step in strict, against off", f"seconds, as a ratio; line: aim, {AIM}; {machine}", bars)


def proof_table(document: Document) -> str:
    rows = [(row["name"], f"{row['status']} ({row['expected']})", in_short(row["found"])) for row in document["rows"]]
    return table(("command", "status (expected)", "found"), rows)


def in_short(found: Any) -> str:
    """A verdict, a cause, or a printed line."""
    if isinstance(found, str):
        return found
    if "cause" in found:
        return found["cause"]["said"]
    return f"{found['verdict']['outcome']}, {len(found['runs'])} runs" if "verdict" in found else "no difference"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES = {
    "smoke": smoke_table,
    "bits": bits_table,
    "cost": cost_table,
    "proof": proof_table,
    "variables": variables_table,
    "others": bits_table,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="PART.json")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the costs, of cost.json")
    options = parser.parse_args()
    if options.svg:
        costs = [
            document
            for document in map(read, options.files)
            if document["part"] == "cost" and ratios(document, "strict", "seconds")
        ]
        if not costs:
            parser.error("--svg draws costs: expected a cost.json with some in strict and off")
        options.svg.write_text(picture(costs[0]), encoding="utf-8")
    return show(options.files)


if __name__ == "__main__":
    sys.exit(main())
