"""benchmarks/gpu: a session's limits and what it leaves, outcomes, verdicts, ratios, tables. No torch is needed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from seedbed.settings import CALLS, VARIABLES

from benchmarks.gpu import parts, run, show, summary, work
from builder import paths
from builder.outcomes import Finished
from tests import pages
from tests.processes import is_running

A, B, ERROR = {"digest": "a"}, {"digest": "b"}, {"error": "no deterministic implementation"}
CLAIMS = {"strict": "equal", "warn": "may differ", "off": "may differ"}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([A, A, A], "equal"),
        ([A, A, B], "different"),
        ([ERROR, ERROR], "refused"),
        ([A, A, ERROR], "different"),
        ([A], "once"),
        ([ERROR], "once"),
        ([], "once"),
    ],
)
def test_the_outcome_is_equal_only_where_two_runs_or_more_agree_in_everything(runs, expected):
    assert summary.outcome(runs) == expected


def test_an_error_counts_as_one_more_result():
    assert summary.distinct([A, B, A, ERROR, ERROR]) == 3


@pytest.mark.parametrize(
    ("claim", "found", "expected"),
    [
        ("equal", "equal", "as claimed"),
        ("equal", "different", "CONTRADICTED"),
        ("equal", "refused", "CONTRADICTED"),
        ("refused", "refused", "as claimed"),
        ("refused", "equal", "CONTRADICTED"),
        ("equal or refused", "refused", "as claimed"),
        ("equal or refused", "different", "CONTRADICTED"),
        ("may differ", "different", "as claimed"),
        ("may differ", "equal", "as claimed"),
        ("may differ", "refused", "CONTRADICTED"),
        ("equal", "once", "too few runs"),
    ],
)
def test_a_claim_is_held_against_what_was_found(claim, found, expected):
    assert summary.verdict(claim, found, unavailable=False) == expected


def test_what_mode_off_refuses_too_says_nothing_about_determinism():
    assert summary.verdict("refused", "refused", unavailable=True) == "not available"
    assert summary.verdict("equal", "refused", unavailable=True) == "not available"


def test_a_spread_is_the_median_and_both_ends():
    assert summary.spread([3.0, 1.0, 10.0, 2.0]) == summary.Spread(2.5, 1.0, 10.0)
    with pytest.raises(ValueError, match="no values"):
        summary.spread([])


def test_ratios_are_of_the_same_round():
    slow_second_round = {0: 1.0, 1: 4.0, 2: 1.0}
    assert summary.paired({1: 8.0, 0: 2.0}, slow_second_round) == [2.0, 2.0]
    assert summary.paired({0: 2.0, 1: 2.0}, slow_second_round) == [2.0, 0.5]


def test_a_doubling_and_a_halving_cancel_in_the_geometric_mean():
    assert summary.geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
    assert summary.geometric_mean([1.1, 1.1]) == pytest.approx(1.1)
    for nonsense in ([], [1.0, 0.0], [-1.0]):
        with pytest.raises(ValueError):
            summary.geometric_mean(nonsense)


EMPTY = {
    "state": "done",
    "options": {"device": "cpu", "quick": True, "limit": 390},
    "machine": {"torch": "2"},
    "seconds": 1,
    "left_out": 0,
    "rows": [],
}


def document(part: str, **configurations: list[list[dict]]) -> dict:
    """What a part found: by configuration, what each round's process printed about its workloads."""
    rows = [
        {
            "group": "eager",
            "configuration": name.replace("_", " "),
            "round": number,
            "status": 0,
            "results": results,
        }
        for name, rounds in configurations.items()
        for number, results in enumerate(rounds)
    ]
    return {**EMPTY, "part": part, "rows": rows}


def said(workload: str, **result) -> dict:
    return {"workload": workload, "claims": CLAIMS, **result}


def bits(strict: list[dict]) -> dict:
    """One workload, whose runs in strict came out like this; in mode off they differ."""
    of = {"strict": [[said("scatter", **one)] for one in strict], "warn": [[said("scatter", **A)]] * 2}
    return document("bits", **of, off=[[said("scatter", **A)], [said("scatter", **B)]])


def shown(tmp_path, capsys, *documents: dict) -> tuple[int, str]:
    paths = [tmp_path / f"{number}.json" for number in range(len(documents))]
    for path, one in zip(paths, documents, strict=True):
        path.write_text(json.dumps(one))
    return show.show(paths), capsys.readouterr().out


def test_bits_that_contradict_the_page_are_named_and_end_with_1(tmp_path, capsys):
    status, out = shown(tmp_path, capsys, bits([A, B]))
    assert status == 1
    assert "| scatter | 2 results in 2 | equal (2) | 2 results in 2 | strict: CONTRADICTED |" in out
    assert out.endswith("bits: CONTRADICTED: scatter in strict: claimed equal, found 2 results in 2\n")


def test_bits_as_claimed_end_with_0(tmp_path, capsys):
    status, out = shown(tmp_path, capsys, bits([A, A]))
    assert status == 0 and "CONTRADICTED" not in out
    assert "| scatter | equal (2) | equal (2) | 2 results in 2 | yes |" in out
    assert "in mode off 1 of 1 workloads gave different results" in out


def test_a_mode_that_was_not_reached_is_not_judged(tmp_path, capsys):
    only_strict = document("others", strict=[[said("scatter", **A)]] * 2)
    status, out = shown(tmp_path, capsys, only_strict)
    assert (status, "| scatter | equal (2) | - | - | yes |" in out) == (0, True)


def test_a_process_that_failed_is_named_and_what_it_did_counts(tmp_path, capsys):
    crashed = bits([A, A, A])
    crashed["rows"][2] |= {"status": 134, "said": "CUDA error", "results": []}
    status, out = shown(tmp_path, capsys, crashed)
    assert status == 1
    assert "| scatter | equal (2) |" in out
    assert "bits: eager, strict, round 2: status 134: CUDA error" in out


@pytest.mark.parametrize("part", parts.PARTS)
def test_a_part_that_was_killed_before_its_first_row_is_shown_as_what_it_is(part, tmp_path, capsys):
    status, out = shown(tmp_path, capsys, {**EMPTY, "part": part, "state": "killed at its limit of 90 s"})
    assert (status, f"{part}: killed at its limit of 90 s" in out) == (1, True)


def test_checks_and_proofs_that_do_not_hold_are_failures(tmp_path, capsys):
    check = {"image": "jax", "check": "trains", "outcome": "failed", "detail": "differs", "seconds": 1}
    proof = {"name": "verify", "status": 1, "expected": 0, "found": "differs", "said": "differs"}
    documents = [{**EMPTY, "part": "smoke", "rows": [check]}, {**EMPTY, "part": "proof", "rows": [proof]}]
    status, out = shown(tmp_path, capsys, *documents)
    assert status == 1
    assert "smoke: jax: trains: differs\nproof: verify: status 1, expected 0: differs\n" in out


def test_what_a_row_is_worth_are_the_workloads_that_change_without_it(tmp_path, capsys):
    names = ("gone", "refuses", "moved", "unmoved", "never")
    before = [[said(name, **(A if name != "never" else one)) for name in names] for one in (A, B)]
    first, second = ({"gone": one, "refuses": ERROR, "moved": B, "unmoved": A, "never": one} for one in (A, B))
    after = [[said(name, **results[name]) for name in names] for results in (first, second)]
    _, out = shown(tmp_path, capsys, document("variables", nothing=before, a_row=after))
    assert "| a row | gone | refuses | moved (equal, other bits) | 1 |" in out
    assert "not seen equal with nothing removed: never." in out


def test_costs_are_paired_with_mode_off_and_what_is_refused_has_none(tmp_path, capsys):
    off = [[said("fast", seconds=s), said("slow", seconds=s), said("pooling", seconds=s)] for s in (1.0, 10.0, 1.0)]
    strict = [
        [said("fast", seconds=s), said("slow", seconds=4 * s), said("pooling", **ERROR)] for s in (1.0, 10.0, 2.0)
    ]
    _, out = shown(tmp_path, capsys, document("cost", off=off, strict=strict))
    assert "| fast | 1000.00 ms | 1.000 (1.000 to 2.000) |" in out
    assert "| slow | 1000.00 ms | 4.000 (4.000 to 8.000) |" in out
    assert "| pooling | 1000.00 ms | refused |" in out
    assert "| **geometric mean** |  | **2.000** (2) |" in out


def test_the_picture_has_a_bar_for_each_workload_and_their_mean():
    costs = document("cost", off=[[said("a", seconds=1.0), said("b", seconds=1.0)]], strict=[[said("a", seconds=1.2)]])
    drawn = show.picture(costs)
    assert drawn.count(">a<") == 1 and drawn.count("geometric mean") == 1 and ">b<" not in drawn


def test_every_row_for_torch_and_jax_is_removed_or_there_is_a_reason_why_not():
    removed = {name for names in parts.REMOVED.values() for name in names}
    for row in (*VARIABLES, *CALLS):
        if {"torch", "jax"} & set(row.libraries):
            assert (row.name in removed) != (row.name in parts.LEFT), row.name
    assert removed - {"nothing"} == work.UNDO.keys()


class Clock:
    """A host whose every command takes 100 of this clock's seconds."""

    def __init__(self, said: str = "", status: int = 0) -> None:
        self.now, self.said, self.status, self.commands = 0.0, said, status, []

    def finish(self, command, **options):
        self.now += 100
        self.commands.append(command)
        return Finished(self.status, self.said, "Killed")


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """A bench with that host and time for three commands, but not for a fourth, which would take all of 100 s."""

    def bench(host: Clock) -> parts.Bench:
        monkeypatch.setattr(parts.time, "monotonic", lambda: host.now)
        return parts.Bench(host, tmp_path / "bits.json", {**EMPTY, "rows": [], "machine": {}}, began=0.0)

    return bench


def test_what_there_is_no_time_for_is_left_out_from_the_end_and_counted(bench, tmp_path):
    host = Clock()
    bench(host).work_all(parts.in_modes(["eager"], range(4), "strict", "off"), parallel=1)
    found = json.loads((tmp_path / "bits.json").read_text())
    ran = [(row["round"], row["configuration"]) for row in found["rows"]]
    assert ran == [(0, "strict"), (0, "off"), (1, "strict")]
    assert (len(host.commands), found["left_out"]) == (3, 5)


def test_a_process_that_is_killed_leaves_what_it_did_before_and_its_last_line(bench, tmp_path):
    printed = '{"machine": {"torch": "2"}}\n{"workload": "scatter", "digest": "a"}\n7\n{"workload": "half", "of": {}'
    bench(Clock(printed, status=-9)).work(parts.Job("eager", "strict", 0, {}))
    found = json.loads((tmp_path / "bits.json").read_text())
    [row] = found["rows"]
    assert row["results"] == [{"workload": "scatter", "digest": "a"}]
    assert (row["status"], row["said"], found["machine"]) == (-9, "Killed", {"torch": "2"})


def test_the_doubtful_rows_are_removed_first_and_every_group_runs_with_nothing_removed_too(bench, monkeypatch):
    jobs: list[parts.Job] = []
    monkeypatch.setattr(parts.Bench, "groups", lambda _, *names: list(names))
    monkeypatch.setattr(parts.Bench, "work_all", lambda _, given: jobs.extend(given))
    parts.variables(bench(Clock()))
    doubtful = len(parts.DOUBTFUL)
    assert [job.configuration for job in jobs[: 2 * doubtful]] == 2 * [*parts.DOUBTFUL]
    assert {job.group for job in jobs if job.configuration == "nothing"} == {"eager", "compiled", "jax"}
    assert len(jobs) == len({(job.group, job.configuration, job.round) for job in jobs})


def test_a_proof_is_shown_by_its_verdict_or_its_cause():
    assert show.in_short({"verdict": {"outcome": "equal"}, "runs": [1, 2]}) == "equal, 2 runs"
    assert show.in_short({"cause": {"said": "index_add gives another result"}}) == "index_add gives another result"
    assert show.in_short(parts.what_was_found('{"same": 1, "facts": 2}')) == "no difference"
    assert show.in_short(parts.what_was_found("progress\nequals")) == "equals"


STAND_IN = """
import json, subprocess, sys, time
from pathlib import Path

path = Path(sys.argv[1])
document = json.loads(path.read_text())
workers = [subprocess.Popen(["sleep", "600"], start_new_session=group).pid for group in (False, True)]
row = {"status": 0, "expected": 0, "found": "", "round": 0, "configuration": "nothing", "results": []}
document["rows"] = [row | {"name": str(worker)} for worker in workers]
behaviour = json.loads(path.with_name("behaviour").read_text()).get(document["part"], "ends")
if behaviour == "fails":
    sys.exit(3)
document["state"] = "done" if behaviour == "ends" else document["state"]
path.with_suffix(".new").write_text(json.dumps(document))
path.with_suffix(".new").replace(path)  # whole or not at all: it is read meanwhile
if behaviour == "hangs":
    time.sleep(600)
"""
SESSION = """
import sys
from benchmarks.gpu import run
run.PART = [sys.executable, sys.argv.pop(1)]
sys.exit(run.main())
"""


class Session:
    """A session of two parts, proof and variables, made by stand-ins that start workers and then end, fail or hang."""

    def __init__(self, folder: Path, limit: float, **behaviour: str) -> None:
        self.folder = folder
        (folder / "temporary").mkdir()
        (folder / "part.py").write_text(STAND_IN)
        (folder / "behaviour").write_text(json.dumps(behaviour))
        wanted = ["proof", "variables", "--device", "cpu", "--output", str(folder), "--limit", str(limit)]
        wanted += ["--python", sys.executable]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SESSION, str(folder / "part.py"), *wanted],
            env=os.environ | {"PYTHONPATH": str(paths.ROOT), "TMPDIR": str(folder / "temporary")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def documents(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]

    def scratch(self) -> list[Path]:
        return list(self.folder.glob("temporary/*"))

    def states(self) -> dict[str, str]:
        return {document["part"]: document["state"] for document in self.documents()}

    def running(self) -> list[str]:
        """The workers that are left."""
        workers = [row["name"] for document in self.documents() for row in document["rows"]]
        return [worker for worker in workers if is_running(int(worker))]


def test_a_part_that_hangs_is_killed_at_its_limit_with_all_that_it_started_and_the_next_one_runs(tmp_path):
    session = Session(tmp_path, 8, proof="hangs")
    out, err = session.process.communicate(timeout=60)
    killed = session.states()["proof"]
    assert re.fullmatch("killed at its limit of [1-4] s", killed)  # half of what the start has left of 8 s
    assert session.states()["variables"] == "done"
    assert [len(document["rows"]) for document in session.documents()] == [2, 2]
    assert not session.running() and not session.scratch()
    assert session.process.returncode == 1
    assert f"proof: {killed}\n" in out
    assert "run.py proof --device cpu" in err


def test_a_part_that_fails_does_not_end_the_others(tmp_path):
    session = Session(tmp_path, 60, proof="fails")
    out, _ = session.process.communicate(timeout=60)
    assert session.states() == {"proof": "ended with status 3", "variables": "done"}
    assert session.process.returncode == 1 and "\nproof: ended with status 3\n" in out


def test_parts_that_are_done_leave_nothing_to_repeat_and_no_process(tmp_path):
    session = Session(tmp_path, 60)
    _, err = session.process.communicate(timeout=60)
    assert (session.process.returncode, session.states()) == (0, {"proof": "done", "variables": "done"})
    assert not session.running() and "To repeat" not in err


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_session_that_is_ended_leaves_valid_files_and_nothing_else(sent, status, tmp_path):
    session = Session(tmp_path, 600, proof="hangs")
    until = time.monotonic() + 60
    while not any(document["rows"] for document in session.documents()):
        assert session.process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    session.process.send_signal(sent)
    session.process.communicate(timeout=60)
    assert (session.process.returncode, session.states()) == (status, {"proof": "cut short"})
    while session.running() or session.scratch():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_page_names_the_parts_their_limits_and_what_they_sum_to():
    page = (paths.ROOT / "docs" / "gpu.md").read_text()
    [table] = [table for table in pages.tables(page) if len(table) == len(parts.PARTS) and table[0][0] == "`smoke`"]
    limits = {name: part.seconds for name, part in parts.PARTS.items()}
    assert {name.strip("`"): int(seconds) for name, seconds, _ in table} == limits
    assert run.parse_arguments(["--device", "cpu", "--output", "x"]).limit == sum(limits.values())
    assert f"`--limit` ({sum(limits.values())})" in page and f"--limit {run.AGAIN}" in page


def test_time_that_a_part_does_not_need_is_passed_on_to_those_after_it():
    chosen = list(parts.PARTS)
    everything = sum(part.seconds for part in parts.PARTS.values())
    assert [run.share(name, chosen, everything) for name in ("smoke", "others")] == [90, everything]
    assert run.share("bits", chosen, everything) == pytest.approx(150 * everything / (everything - 90))


def test_what_failed_is_repeated_first_and_only_what_a_second_call_has_time_for():
    states = {"smoke": "done", "bits": "failed: x", "cost": "cut short", "proof": "killed", "variables": "skipped: y"}
    documents = [{**EMPTY, "part": name, "state": state} for name, state in states.items()]
    assert run.to_repeat(documents) == ["bits", "proof"]
    documents[0]["left_out"] = 1
    documents[1]["state"] = documents[2]["state"] = "done"
    assert run.to_repeat(documents) == ["proof", "smoke"]
