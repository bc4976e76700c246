"""What raw results of benchmarks/gpu come to: outcomes, verdicts, ratios, tables. What they measure is not tested."""

import json
from argparse import Namespace

import pytest
from seedbed.settings import CALLS, VARIABLES

from benchmarks.gpu import run, show, summary, work
from builder.outcomes import Finished

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
    assert summary.verdict(claim, found, unrestricted="different") == expected


def test_what_mode_off_refuses_too_says_nothing_about_determinism():
    assert summary.verdict("refused", "refused", unrestricted="refused") == "not available"
    assert summary.verdict("equal", "refused", unrestricted="refused") == "not available"


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


def document(part: str, **configurations: list[list[dict]]) -> dict:
    """Raw results: by configuration, what each round's process said of its workloads."""
    processes = [
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
    options = {"device": "cpu", "quick": True}
    return {"part": part, "options": options, "machine": {"torch": "2"}, "seconds": 1, "processes": processes}


def said(workload: str, **result) -> dict:
    return {"workload": workload, "claims": CLAIMS, **result}


def bits(strict: list[dict]) -> dict:
    """One workload, whose runs in strict came out like this; in mode off they differ."""
    of = {"strict": [[said("scatter", **one)] for one in strict], "warn": [[said("scatter", **A)]] * 2}
    return document("bits", **of, off=[[said("scatter", **A)], [said("scatter", **B)]])


def shown(tmp_path, capsys, *documents: dict) -> tuple[int, str, str]:
    paths = [tmp_path / f"{number}.json" for number in range(len(documents))]
    for path, one in zip(paths, documents, strict=True):
        path.write_text(json.dumps(one))
    status = show.main(paths, None)
    return status, *capsys.readouterr()


def test_bits_that_contradict_the_page_are_said_and_end_with_1(tmp_path, capsys):
    status, out, err = shown(tmp_path, capsys, bits([A, B]))
    assert status == 1
    assert "| scatter | 2 results in 2 | equal (2) | 2 results in 2 | strict: CONTRADICTED |" in out
    assert err == "CONTRADICTED: scatter in strict: claimed equal, found 2 results in 2\n"


def test_bits_as_claimed_end_with_0(tmp_path, capsys):
    status, out, err = shown(tmp_path, capsys, bits([A, A]))
    assert (status, err) == (0, "")
    assert "| scatter | equal (2) | equal (2) | 2 results in 2 | yes |" in out
    assert "in mode off 1 of 1 workloads gave different results" in out


def test_a_process_that_failed_is_said_and_what_it_did_counts(tmp_path, capsys):
    crashed = bits([A, A, A])
    crashed["processes"][2] |= {"status": 134, "said": "CUDA error", "results": []}
    _, out, _ = shown(tmp_path, capsys, crashed)
    assert "| scatter | equal (2) |" in out
    assert "Failed: eager, strict, round 2: status 134: CUDA error" in out


def test_what_a_row_is_worth_are_the_workloads_that_change_without_it(tmp_path, capsys):
    names = ("gone", "refuses", "moved", "unmoved", "never")
    before = [[said(name, **(A if name != "never" else one)) for name in names] for one in (A, B)]
    first, second = ({"gone": one, "refuses": ERROR, "moved": B, "unmoved": A, "never": one} for one in (A, B))
    after = [[said(name, **results[name]) for name in names] for results in (first, second)]
    _, out, _ = shown(tmp_path, capsys, document("variables", nothing=before, a_row=after))
    assert "| a row | gone | refuses | moved (equal, other bits) | 1 |" in out
    assert "not seen equal with everything in place: never." in out


def test_costs_are_paired_with_mode_off_and_what_is_refused_has_none(tmp_path, capsys):
    off = [[said("fast", seconds=s), said("slow", seconds=s), said("pooling", seconds=s)] for s in (1.0, 10.0, 1.0)]
    strict = [
        [said("fast", seconds=s), said("slow", seconds=4 * s), said("pooling", **ERROR)] for s in (1.0, 10.0, 2.0)
    ]
    _, out, _ = shown(tmp_path, capsys, document("cost", off=off, strict=strict))
    assert "| fast | 1000.00 ms | 1.000 (1.000 to 2.000) |" in out
    assert "| slow | 1000.00 ms | 4.000 (4.000 to 8.000) |" in out
    assert "| pooling | 1000.00 ms | refused |" in out
    assert "| **geometric mean** |  | **2.000** (2) |" in out


def test_the_picture_has_a_bar_for_each_workload_and_their_mean():
    costs = document("cost", off=[[said("a", seconds=1.0), said("b", seconds=1.0)]], strict=[[said("a", seconds=1.2)]])
    drawn = show.picture(costs)
    assert drawn.count(">a<") == 1 and drawn.count("geometric mean") == 1 and ">b<" not in drawn


def test_every_row_for_torch_and_jax_is_taken_away_or_it_is_said_why_not():
    removed = {name for names in run.REMOVED.values() for name in names}
    for row in (*VARIABLES, *CALLS):
        if {"torch", "jax"} & set(row.libraries):
            assert (row.name in removed) != (row.name in run.LEFT), row.name
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
def bench(monkeypatch):
    """A bench with that host and time for three commands."""

    def bench(host: Clock) -> run.Bench:
        monkeypatch.setattr(run.time, "monotonic", lambda: host.now)
        return run.Bench(host, Namespace(limit=300, device="cpu", quick=True), began=0.0)

    return bench


def test_nothing_starts_after_the_limit_and_rounds_are_kept_whole(bench):
    host = Clock()
    jobs = [run.Job("eager", mode, number, {}) for mode in ("strict", "off") for number in range(4)]
    ran = bench(host).work_all(jobs, parallel=1)
    assert [(one["round"], one["configuration"]) for one in ran] == [(0, "strict"), (0, "off"), (1, "strict")]
    assert len(host.commands) == 3


def test_a_process_that_is_killed_leaves_what_it_did_before_and_its_last_words(bench):
    host = Clock('{"machine": {"torch": "2"}}\n{"workload": "scatter", "digest": "a"}\n', status=-9)
    one = bench(host).work(run.Job("eager", "strict", 0, {}))
    assert one["results"] == [{"workload": "scatter", "digest": "a"}]
    assert (one["status"], one["said"]) == (-9, "Killed")
