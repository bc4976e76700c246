"""Two records side by side: hardware first, then the first difference; what repeats one."""

import copy
import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from seedbed import compare, replay
from seedbed.observe.lines import Lines
from seedbed.recording import record
from seedbed.recording.facts import changed_facts
from seedbed.recording.record import Record

FACTS = {
    "command": ["python", "train.py", "--name", "a b"],
    "folder": "/workspace/project",
    "started": "2025-01-01T00:00:00+00:00",
    "seed": 42,
    "mode": "strict",
    "image": {"name": "pytorch", "tag": "2.7.1-py311", "lock": "sha256:" + "1" * 64},
    "packages": {"torch": "2.7.1"},
    "cpu": {"model": "A", "vendor": "AuthenticAMD", "instructions": ["avx2"]},
    "gpus": [],
    "driver": "",
    "threads": 4,
    "ranks": 1,
    "environment": {
        "OMP_NUM_THREADS": "4",
        "OMP_DYNAMIC": "FALSE",
        "NCCL_ALGO": "Tree",
        "TOKEN": "hidden:1234:abc",
    },
    "commit": "c0ffee",
    "sources": {},
    "data": {},
}
STEPS = [
    {"step": 1, "initial": "i", "data": "d1", "loss": ["0x1p+1"], "gradients": "g1", "parameters": "p1"},
    {"step": 2, "data": "d2", "loss": ["0x1p+0"], "gradients": "g2", "parameters": "p2"},
]

Make = Callable[..., Record]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A record with steps and facts of its own, of one process or more."""

    def make(*ranks: list[dict], status: int = 0, **facts: object) -> Record:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        write(folder / "output.jsonl", {**FACTS, **facts}, [{"line": 1, "text": "done"}, {"end": {"status": status}}])
        for rank, steps in enumerate(ranks or [STEPS]):
            write(folder / f"rank{rank}.jsonl", {**FACTS, **facts, "rank": rank}, [*steps, {"end": {"steps": 2}}])
        return record.read(folder)

    return make


def write(path: Path, facts: dict, lines: list[dict]) -> None:
    file = Lines(path)
    for line in ({"run": facts}, *lines):
        file.write(line)


def changed(step: int, **kinds: object) -> list[dict]:
    steps = copy.deepcopy(STEPS)
    steps[step - 1] |= kinds
    return steps


def test_equal_records_are_equal(make: Make) -> None:
    assert compare.judge([make(), make()]).outcome == "equal"


@pytest.mark.parametrize(
    "failed, said",
    [
        (STEPS[:1], "CRASHED: B was killed by SIGKILL (out of memory?). Up to there the runs agree."),
        (
            [{**STEPS[0], "gradients": "x"}],
            "CRASHED: B was killed by SIGKILL (out of memory?). "
            "Before that the runs differ: gradients (backward), step 1.",
        ),
    ],
)
def test_a_run_that_failed_is_a_crash(make: Make, failed: list[dict], said: str) -> None:
    a, b = make(), make(failed, status=-9)
    verdict = compare.judge([a, b])
    assert (verdict.outcome, verdict.run) == ("crashed", 1)
    assert compare.as_text(a, b, verdict).endswith(said)


def test_runs_that_failed_alike_are_compared(make: Make) -> None:
    assert compare.judge([make(status=1), make(status=1)]).outcome == "equal"
    assert compare.judge([make(status=1), make(changed(2, data="x"), status=1)]).outcome == "diverged"


@pytest.mark.parametrize(
    "kinds, first",
    [
        ({"initial": "x", "data": "x", "loss": ["0x1p+2"]}, "initial"),
        ({"data": "x", "loss": ["0x1p+2"], "gradients": "x"}, "data"),
        ({"loss": ["0x1.0000000000001p+1"], "gradients": "x"}, "loss"),
        ({"gradients": "x", "parameters": "x"}, "gradients"),
        ({"parameters": "x"}, "parameters"),
    ],
)
def test_the_first_kind_of_the_first_step_is_blamed(make: Make, kinds: dict, first: str) -> None:
    verdict = compare.judge([make(), make(), make(changed(1, **kinds))])
    assert (verdict.outcome, verdict.difference.kind, verdict.difference.step, verdict.run) == ("diverged", first, 1, 2)


def test_the_rank_that_differs_first_is_named(make: Make) -> None:
    verdict = compare.judge([make(STEPS, STEPS), make(changed(2, data="x"), changed(1, data="x"))])
    assert str(verdict.difference) == "data, step 1 of rank 1"


def test_a_process_or_a_step_more_is_a_difference(make: Make) -> None:
    assert compare.judge([make(STEPS), make(STEPS, STEPS)]).difference.kind == "ranks"
    assert compare.judge([make(), make(STEPS[:1])]).difference.kind == "steps"


@pytest.mark.parametrize("fact, value", [("threads", 8), ("gpus", ["H100"]), ("cpu", {"model": "B"}), ("driver", "5")])
def test_equal_bits_on_other_hardware_are_not_called_equal(make: Make, fact: str, value: object) -> None:
    a, b = make(), make(**{fact: value})
    verdict = compare.judge([a, b], tolerance=0.5)
    assert (verdict.outcome, verdict.hardware) == ("incomparable", (fact,))
    assert f"NOT COMPARABLE: different hardware ({fact})." in compare.sentence(verdict)


def test_other_software_is_shown_and_may_be_equal(make: Make) -> None:
    a, b = make(), make(packages={"torch": "2.8.0"})
    assert compare.judge([a, b]).outcome == "equal"
    assert ("packages torch", "2.7.1", "2.8.0") in changed_facts(a.facts, b.facts)


@pytest.mark.parametrize("tolerance, outcome", [(0.0, "diverged"), (1e-9, "diverged"), (1e-3, "within")])
def test_a_tolerance_is_relative(make: Make, tolerance: float, outcome: str) -> None:
    near = make(changed(2, loss=[(1 + 1e-6).hex()], parameters="x"))
    assert compare.judge([make(), near], tolerance).outcome == outcome


def test_no_tolerance_makes_a_nan_near_a_number(make: Make) -> None:
    assert compare.judge([make(), make(changed(1, loss=["nan"]))], 0.99).outcome == "diverged"
    assert compare.judge([make(changed(1, loss=["nan"]))] * 2).outcome == "equal"


def test_the_page_has_the_environment_the_curves_and_the_verdict(seedbed, make: Make) -> None:
    a, b = make(), make(changed(2, loss=["0x1.8p+0"]), seed=7)
    done = seedbed("compare", a.path, b.path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert ["seed", "42", "7"] in [line.split() for line in lines]
    assert ["2", "1", "1.5", "0.33"] in [line.split() for line in lines]
    assert "DIVERGED. First difference: loss (forward), step 2." in lines
    assert any(line.startswith("the same: ") and "threads" in line for line in lines)


def test_steps_keep_their_numbers_where_a_line_was_lost(make: Make) -> None:
    a, b = make(STEPS[1:]), make(changed(2, loss=["0x1.8p+0"]))
    rows = [line.split() for line in compare.as_text(a, b, compare.judge([a, b])).splitlines()]
    assert ["1", "-", "2"] in rows
    assert ["2", "1", "1.5", "0.33"] in rows


def test_programs_can_read_it(seedbed, make: Make) -> None:
    a, b = make(), make(changed(2, data="x"), seed=7)
    document = json.loads(seedbed("compare", a.path, b.path, "--json").stdout)
    assert document["verdict"]["difference"]["kind"] == "data"
    assert {"name": "seed", "a": "42", "b": "7"} in document["facts"]


@pytest.mark.parametrize("verb", [["compare", "none", "none"], ["replay", "none"]])
def test_what_is_no_record_is_one_line(seedbed, verb: list[str]) -> None:
    done = seedbed(*verb)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"seedbed: {verb[0]}: none: expected a record")


def test_replay_prints_the_docker_run_of_the_very_image(seedbed, make: Make) -> None:
    done = seedbed("replay", make().path)
    words = shlex.split(done.stdout)
    assert words[:3] == ["docker", "run", "--rm"]
    assert words[-5:] == ["seedbed/pytorch:2.7.1-py311-111111111111", "python", "train.py", "--name", "a b"]
    set_variables = {words[at + 1] for at, word in enumerate(words) if word == "-e"}
    assert set_variables == {"SEEDBED_SEED=42", "SEEDBED_MODE=strict", "OMP_NUM_THREADS=4", "NCCL_ALGO=Tree"}
    assert "$PWD:/workspace" in words
    assert words[words.index("-w") + 1] == "/workspace/project"
    assert "warning: the values of TOKEN were not recorded" in done.stderr


def test_replay_asks_for_gpus_where_there_were_some(make: Make) -> None:
    assert replay.docker_run(make(gpus=["H100"]))[3:5] == ["--gpus", "all"]
    assert "--gpus" not in replay.docker_run(make())


def test_replay_tells_of_files_that_are_others_now(make: Make, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("new")
    found = make(sources={"train.py": "0" * 64, "gone.py": "0" * 64})
    told = list(replay.warnings(found))
    assert told[:2] == [
        "train.py has changed; it was recorded at commit c0ffee",
        "gone.py is missing; it was recorded at commit c0ffee",
    ]


def test_replay_without_an_image_asks_for_one(seedbed, make: Make) -> None:
    done = seedbed("replay", make(image={}).path)
    assert (done.returncode, "name one with --image" in done.stderr) == (2, True)
    assert "mine:1 python train.py" in seedbed("replay", make(image={}).path, "--image", "mine:1").stdout


def test_replay_runs_it(seedbed, make: Make, tmp_path: Path) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "ran $1 $2"; echo "$@" >said; exit 5\n')
    docker.chmod(0o755)
    path = subprocess.os.environ["PATH"]
    done = seedbed("replay", "--run", make().path, PATH=f"{docker.parent}:{path}")
    assert (done.returncode, done.stdout) == (5, "ran run --rm\n")
    assert f" -v {tmp_path}:/workspace " in (tmp_path / "said").read_text()
