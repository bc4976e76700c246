"""`seedbed sweep`: several seeds of one command, what they sum up to, and going on after an interruption."""

import csv
import json
import math
import os
import signal
import subprocess
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from seedbed import files
from seedbed.recording.record import Rank, Record, Step
from seedbed.sweep import figure, locks, metric, png, runs, student, summary, svg
from seedbed.sweep.metric import Metric, Missing, curve
from seedbed.sweep.plan import Plan

RESULTS = ("results.csv", "results.json", "plots.html", "loss.svg")

TRAINING = """
import os, random, sys, time
from pathlib import Path
seed = os.environ["SEEDBED_SEED"]
print("epoch 1: loss", random.random(), flush=True)
with open("ran.txt", "a") as file: file.write(seed + "\\n")
while seed == "44" and Path("wait").exists(): time.sleep(0.01)
print("epoch 2: loss", random.random())
"""


@pytest.fixture
def sweep(seedbed, tmp_path: Path):
    """`seedbed sweep` of a script, with options of its own."""

    def sweep(code: str, *options: str, arguments: tuple[str, ...] = (), **variables: str):
        (tmp_path / "script.py").write_text(code)
        return seedbed("sweep", *options, "--", "python", "script.py", *arguments, **variables)

    return sweep


def on_path(python: Path, environ: dict[str, str]) -> dict[str, str]:
    return environ | {"PATH": f"{python.parent}{os.pathsep}{environ['PATH']}"}


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


# As in NIST's handbook of statistical methods, 1.3.6.7.2, the column for 0.975.
@pytest.mark.parametrize(
    "degrees, quantile",
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (10, 2.228), (30, 2.042), (100, 1.984)],
)
def test_quantiles_of_student_are_the_published_ones(degrees: int, quantile: float) -> None:
    assert round(student.half_width(degrees), 3) == quantile


def test_a_summary_is_mean_sample_deviation_and_interval() -> None:
    found = summary.summary("loss", {1: [9, 2.0], 2: [4.0], 3: [9.0]})
    assert (found.mean, found.min, found.max) == (5, 2, 9)
    assert found.std == math.sqrt(13)  # (9 + 1 + 16) / 2
    half = 4.3027 * math.sqrt(13 / 3)
    assert found.interval == pytest.approx((5 - half, 5 + half), rel=1e-4)
    assert summary.sentence(found) == "loss 5.0 ± 3.6 (mean ± sample std of 3 seeds; 95 % interval -4.0 to 14.0)"


def test_one_run_has_no_interval_and_says_so() -> None:
    found = summary.summary("loss", {1: [2.0]})
    assert (found.std, found.interval) == (0, None)
    assert "one run says nothing about the spread" in summary.warnings([found])[0]


@pytest.mark.parametrize("count, warned", [(2, True), (9, True), (10, False)])
def test_few_runs_are_warned_of(count: int, warned: bool) -> None:
    said = summary.warnings([summary.summary("loss", {seed: [float(seed)] for seed in range(count)})])
    assert any("runs are few" in warning for warning in said) == warned


def test_a_value_that_is_no_number_leaves_no_mean_and_valid_json() -> None:
    found = [summary.summary("loss", {1: [1.0], 2: [math.nan]})]
    assert "loss is not a finite number for seed 2" in summary.warnings(found)[-1]
    assert json.loads(summary.as_json(found, {}))["metrics"]["loss"]["mean"] is None
    assert summary.sentence(found[0]) == "loss: no mean, since not all values are finite"


def printed(*lines: str) -> Record:
    return Record(Path("record"), {}, (), lines)


@pytest.mark.parametrize(
    "line, value",
    [
        ("epoch 3: loss 0.5, accuracy 0.25", 0.25),
        ("loss=1 accuracy=1e-3", 1e-3),
        ('{"loss": 1, "accuracy": 0.75}', 0.75),
        ("accuracy: 93.5%", 93.5),
        ("accuracy NaN", math.nan),
        ("val_accuracy 0.1 accuracy -inf", -math.inf),
        ("val/accuracy=0.1 val-accuracy=0.2 val.accuracy=0.3 [accuracy=0.4]", 0.4),
    ],
)
def test_a_metric_is_found_behind_its_name(line: str, value: float) -> None:
    assert curve(Metric("accuracy"), printed("starting", line)) == pytest.approx([value], nan_ok=True)


def test_a_pattern_finds_the_number_in_its_first_group() -> None:
    run = printed("top-1: 10 of 20", "top-1: 15 of 20")
    assert curve(Metric("value", pattern=r"top-1: (\d+) of"), run) == [10, 15]
    with pytest.raises(Missing, match=r"matches none of the 2 printed lines; the last one: top-1: 15 of 20"):
        curve(Metric("value", pattern=r"top-5: (\d+)"), run)
    with pytest.raises(Missing, match="expected a number in its first group"):
        curve(Metric("value", pattern=r"(top)"), run)


def test_what_keras_says_comes_before_what_is_printed_and_that_before_the_steps() -> None:
    steps = (Step(1, {}, (0.5, 0.25)),)
    rank = Rank(0, {}, steps, ({"loss": 3.0},), True)
    assert curve(Metric("loss"), Record(Path("r"), {}, (rank,), ("loss 2",))) == [3]
    rank = Rank(0, {}, steps, (), True)
    assert curve(Metric("loss"), Record(Path("r"), {}, (rank,), ("loss 2",))) == [2]
    assert curve(Metric("loss"), Record(Path("r"), {}, (rank,))) == [0.75]


def test_a_metric_that_is_not_there_says_what_is() -> None:
    with pytest.raises(Missing, match="no f1 in its output; found there: epoch, loss, val_acc "):
        curve(Metric("f1"), printed("epoch 1: loss 0.5, val_acc=0.1", "epoch 2: loss 0.4"))
    with pytest.raises(Missing, match="found there: no number with a name"):
        curve(Metric("f1"), printed("parameters sha256: 12ab", "f12", "layer2"))


@pytest.mark.parametrize(
    "name, text, values",
    [
        ("m.csv", "epoch,acc\n1,0.5\n2,\n3,0.75\n", [0.5, 0.75]),
        ("m.json", '{"acc": 0.5}', [0.5]),
        ("m.json", '{"acc": [0.5, 0.75]}', [0.5, 0.75]),
        ("m.json", '[{"acc": 0.5}, {"acc": 0}]', [0.5, 0]),
        ("m.jsonl", '{"acc": 0.5}\n{"x": 1}\n{"acc": 0.75}\n', [0.5, 0.75]),
        ("m.jsonl", '{"acc": 0.5, "said": "a\u2028b"}\r\n\r\n{"acc": 0.75}', [0.5, 0.75]),
        ("m.csv", '\ufeffacc,said\r\n0.5,"a\nb\u2028c"\r\n0.75,\r\n', [0.5, 0.75]),  # as spreadsheets write it
        ("m.json", '\ufeff{"acc": 0.5}', [0.5]),
    ],
)
def test_a_metric_is_read_from_a_file(tmp_path: Path, name: str, text: str, values: list[float]) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert curve(Metric("acc", file=name), printed(), tmp_path / name) == values


def test_dots_lead_inside_a_document_unless_the_key_has_them_itself(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text('{"test": {"acc": 0.5, "top.5": 0.75}, "test.loss": 2}')
    assert [curve(Metric(name), printed(), file) for name in ("test.acc", "test.top.5", "test.loss")] == [
        [0.5],
        [0.75],
        [2],
    ]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("m.csv", "epoch,loss\n1,2\n", "no acc in it; found there: epoch, loss"),
        ("m.json", '{"acc": "high"}', "expected numbers for acc: could not convert"),
        ("m.json", "{", "expected numbers for acc: Expecting property name"),
        ("m.json", None, "No such file or directory; the script must write it"),
    ],
)
def test_a_file_without_the_metric_says_what_it_has(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(Missing, match=message):
        curve(Metric("acc"), printed(), tmp_path / name)


def test_a_sweep_gives_a_table_files_and_plots(sweep, tmp_path: Path) -> None:
    done = sweep(TRAINING, "--seeds", "3")
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "sweep")["metrics"]["loss"]
    assert list(found["values"]) == ["42", "43", "44"] and len(set(found["values"].values())) == 3
    assert all(len(values) == 2 for values in found["curves"].values())
    rows = list(csv.DictReader((tmp_path / "sweep/results.csv").read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == list(found["values"].values())
    assert ["mean", f"{found['mean']:.6g}"] in [line.split() for line in done.stdout.splitlines()]
    assert "(mean ± sample std of 3 seeds; 95 % interval" in done.stdout
    assert "note: 3 runs are few" in done.stderr
    assert all((tmp_path / "sweep" / name).stat().st_size for name in RESULTS)
    assert xml.parse(tmp_path / "sweep/loss.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_without_pillow_the_plots_are_svg_and_a_line_says_what_to_install(sweep, tmp_path: Path) -> None:
    (tmp_path / "hidden/PIL").mkdir(parents=True)
    (tmp_path / "hidden/PIL/__init__.py").write_text("raise ImportError('not here')")
    done = sweep("print('loss 1')", "--seeds", "1", PYTHONPATH=str(tmp_path / "hidden"))
    assert done.returncode == 0
    assert done.stderr.count("note: a plot as PNG needs Pillow: pip install 'pillow>=11'") == 1
    assert (tmp_path / "sweep/loss.svg").exists() and not (tmp_path / "sweep/loss.png").exists()


def test_a_sweep_gives_the_numbers_that_each_seed_gives_by_itself(sweep, seedbed, tmp_path: Path) -> None:
    sweep(TRAINING, "--seeds", "7,5")
    alone = seedbed("run", "--seed", "5", "--", "python", "script.py").stdout
    assert float(alone.split()[-1]) == results(tmp_path / "sweep")["metrics"]["loss"]["values"]["5"]


def test_killed_in_the_middle_a_sweep_goes_on_and_ends_with_the_same_bytes(
    sweep, python: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(TRAINING)
    (tmp_path / "wait").touch()
    command = [python, "-m", "seedbed", "sweep", "--output", "killed", "--", "python", "script.py"]
    with subprocess.Popen(command, cwd=tmp_path, env=on_path(python, environ), stderr=subprocess.DEVNULL) as process:
        while not (ran := tmp_path / "ran.txt").exists() or "44" not in ran.read_text():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed/results.csv").exists()
    (tmp_path / "wait").unlink()

    resumed = sweep(TRAINING, "--output", "killed")
    assert "continuing: 2 of 5 seeds are done" in resumed.stderr
    assert (tmp_path / "ran.txt").read_text().split() == ["42", "43", "44", "44", "45", "46"]
    whole = sweep(TRAINING, "--output", "whole")
    assert resumed.stdout == whole.stdout
    for name in RESULTS:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_finished_sweep_only_reads_and_more_seeds_only_add(sweep, tmp_path: Path) -> None:
    sweep(TRAINING, "--seeds", "2")
    assert sweep(TRAINING, "--seeds", "3", "--json").returncode == 0
    assert (tmp_path / "ran.txt").read_text().split() == ["42", "43", "44"]


def test_parallel_runs_give_what_single_runs_with_as_many_threads_give(sweep, tmp_path: Path) -> None:
    sweep(TRAINING, "--parallel", "3", "--output", "a")
    sweep(TRAINING, "--output", "b", OMP_NUM_THREADS=str(results(tmp_path / "a")["threads"]))
    assert results(tmp_path / "a")["metrics"] == results(tmp_path / "b")["metrics"]


def test_a_seed_that_fails_is_told_left_out_and_tried_again(sweep, tmp_path: Path) -> None:
    code = TRAINING + "assert seed != '43' or Path('mended').exists()"
    failed = sweep(code, "--seeds", "3")
    assert failed.returncode == 1
    assert "seed 43: failed (status 1), see sweep/seed-43/record/; last lines: " in failed.stderr
    assert "AssertionError (2 of 3)" in failed.stderr
    assert list(results(tmp_path / "sweep")["metrics"]["loss"]["values"]) == ["42", "44"]
    assert results(tmp_path / "sweep")["missing"] == [43]
    assert "no result for seed 43" in (tmp_path / "sweep/plots.html").read_text()
    (tmp_path / "mended").touch()
    assert sweep(code, "--seeds", "3").returncode == 0
    assert (tmp_path / "ran.txt").read_text().split() == ["42", "43", "44", "43"]


def test_a_seed_that_is_killed_names_the_signal(sweep) -> None:
    failed = sweep(TRAINING + "import os\nif seed == '43': os.kill(os.getpid(), 11)", "--seeds", "2")
    assert (failed.returncode, "seed 43: failed (was killed by SIGSEGV), see" in failed.stderr) == (1, True)


def test_seeds_that_take_from_one_another_get_advice(sweep) -> None:
    code = TRAINING + "import sys, time\nif seed == '43': sys.exit('OSError: [Errno 98] Address already in use')"
    assert "same random port or name: use --parallel 1 (" in sweep(code, "--seeds", "2", "--parallel", "2").stderr
    assert "use --parallel 1" not in sweep(code, "--seeds", "2", "--output", "one").stderr


def test_a_sweep_without_any_result_is_no_success(sweep, tmp_path: Path) -> None:
    done = sweep(TRAINING, "--seeds", "2", "--metric", "f1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "seed 43: no f1 in its output; found there: epoch, loss" in done.stderr
    assert sweep(TRAINING, "--seeds", "2", "--metric", "epoch").returncode == 0  # nothing has to be run again for that
    assert (tmp_path / "ran.txt").read_text().split() == ["42", "43"]


def test_metrics_whose_names_differ_in_signs_alone_have_a_plot_each(sweep, tmp_path: Path) -> None:
    names = ("--metric", "val/acc", "--metric", "val_acc")
    assert sweep("print('val/acc 1 val_acc 2')", "--seeds", "1", *names).returncode == 0
    assert "val/acc: one seed" in (tmp_path / "sweep/val_acc.svg").read_text()
    assert "val_acc: one seed" in (tmp_path / "sweep/val_acc_.svg").read_text()


@pytest.mark.parametrize(("name", "value"), [("SEEDBED_SEED", "abc"), ("SEEDBED_MODE", "x")])
def test_a_seed_or_mode_that_there_is_not_is_wrong_use(sweep, name: str, value: str) -> None:
    done = sweep(TRAINING, **{name: value})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"seedbed: sweep: {name}={value}: expected ")


def test_each_run_has_a_folder_and_a_file_of_its_own(sweep, tmp_path: Path) -> None:
    code = (
        "import random, sys; from pathlib import Path; Path(sys.argv[1], 'm.csv').write_text(f'a\\n{random.random()}')"
    )
    done = sweep(code, "--seeds", "2", "--metric", "a", "--file", "{folder}/m.csv", arguments=("{folder}",))
    assert done.returncode == 0, done.stderr
    values = [float((tmp_path / f"sweep/seed-{seed}/m.csv").read_text().split()[1]) for seed in (42, 43)]
    assert list(results(tmp_path / "sweep")["metrics"]["a"]["values"].values()) == values


def test_trackers_get_a_name_for_each_run(sweep, tmp_path: Path) -> None:
    code = (
        "import os; print('loss 1', *(os.environ[n] for n in ('WANDB_RUN_ID', 'MLFLOW_RUN_NAME', 'WANDB_RUN_GROUP')))"
    )
    sweep(code, "--seeds", "2", WANDB_RUN_GROUP="mine")
    words = [
        json.loads(line)["text"].split()[2:]
        for seed in (42, 43)
        for line in (tmp_path / f"sweep/seed-{seed}/record/output.jsonl").read_text().splitlines()
        if "text" in line
    ]
    (first_id, first_name, group), (second_id, second_name, _) = words
    assert len({first_id, second_id, first_name, second_name}) == 4
    assert (first_name[-8:], second_name[-8:], group) == ("-seed-42", "-seed-43", "mine")


def test_seeds_that_change_nothing_are_told(sweep) -> None:
    assert "every seed gave the same numbers" in sweep("print('loss 1')", "--seeds", "2").stderr


@pytest.mark.parametrize(
    "change, message",
    [
        (
            ["--mode", "warn", "--", "python", "script.py"],
            "contains a sweep with another mode (strict, now warn): name a new --output",
        ),
        (
            ["--", "python", "script.py", "--x"],
            "contains a sweep with another command (python script.py): name a new --output",
        ),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused(sweep, seedbed, change: list[str], message: str) -> None:
    sweep(TRAINING, "--seeds", "2")
    done = seedbed("sweep", "--seeds", "2", *change)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_two_sweeps_in_one_folder_at_once_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(locks, "SECONDS_TO_WAIT", 0)
    with (
        locks.locked(tmp_path),
        pytest.raises(ValueError, match="another sweep is running here"),
        locks.locked(tmp_path),
    ):
        pass
    with locks.locked(tmp_path):
        pass


def test_seeds_run_one_by_one_by_several_machines_make_the_table_of_one_sweep(
    sweep, python: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    whole = sweep(TRAINING, "--seeds", "3", "--output", "whole")
    command = [python, "-m", "seedbed", "sweep", "--seeds", "3", "--only"]
    at_once = [
        subprocess.Popen([*command, index, "--", "python", "script.py"], cwd=tmp_path, env=on_path(python, environ))
        for index in ("2", "0", "1")
    ]
    assert [process.wait() for process in at_once] == [0, 0, 0]
    assert not (tmp_path / "sweep/results.csv").exists()
    assert "seed 43: done earlier" in sweep(TRAINING, "--seeds", "3", "--only", "1").stderr
    table = sweep(TRAINING, "--seeds", "3", "--table")
    assert (table.returncode, table.stdout) == (0, whole.stdout)
    for name in RESULTS:
        assert (tmp_path / "sweep" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert sorted((tmp_path / "ran.txt").read_text().split()) == ["42", "42", "43", "43", "44", "44"]


def test_what_another_machine_is_just_writing_makes_no_stranger_of_a_sweep(tmp_path: Path) -> None:
    plan = Plan(("true",), (1,), tmp_path / "sweep")
    plan.folder.mkdir()
    (plan.folder / files.PARTIAL.format("try")).touch()
    (plan.folder / files.PARTIAL.format("e99654e5")).touch()
    assert runs.one(plan, 0).status == 0


def test_a_run_whose_last_lines_were_lost_has_no_result(sweep, tmp_path: Path) -> None:
    """The disk was full as the script printed its last loss; then there was room again for the end."""
    sweep(TRAINING, "--seeds", "1")
    file = tmp_path / "sweep/seed-42/record/output.jsonl"
    kept = [line for line in file.read_text().splitlines(keepends=True) if '"text": "epoch 2' not in line]
    file.write_text("".join(kept))
    done = sweep(TRAINING, "--seeds", "1", "--table")
    assert done.returncode == 1 and "seed 42: has not ended, or lines are missing in its record" in done.stderr
    assert sweep(TRAINING, "--seeds", "1").returncode == 0
    assert (tmp_path / "ran.txt").read_text().split() == ["42", "42"]


def test_a_table_tells_of_each_seed_that_has_no_result(sweep, tmp_path: Path) -> None:
    code = TRAINING + "assert seed != '43'"
    assert [sweep(code, "--seeds", "3", "--only", index).returncode for index in ("0", "1")] == [0, 1]
    (tmp_path / "sweep/seed-44").mkdir()
    table = sweep(code, "--seeds", "4", "--table")
    assert table.returncode == 1
    assert "seed 43: failed (status 1)" in table.stderr
    assert "seed 44: has not begun" in table.stderr and "seed 45: has not begun" in table.stderr
    assert results(tmp_path / "sweep")["missing"] == [43, 44, 45]


def test_a_sweep_and_a_seed_by_itself_are_not_in_one_folder_at_once(sweep, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(locks, "SECONDS_TO_WAIT", 0)
    plan = Plan(("true",), (1, 2), tmp_path / "sweep")
    with locks.locked(plan.folder), pytest.raises(ValueError, match="another sweep is running here"):
        runs.one(plan, 0)
    with locks.locked(plan.folder, shared=True):
        assert runs.one(plan, 0).status == 0
        with pytest.raises(ValueError, match="another sweep is running here"):
            runs.sweep(plan)
    monkeypatch.setattr(runs, "SECONDS_FOR_A_MACHINE", 0)
    with locks.locked(plan.folder, "seed 2"), pytest.raises(ValueError, match="seed 2 is running here"):
        runs.one(plan, 1)


def test_machines_that_start_at_the_same_time_wait_for_one_another(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(locks, "SECONDS_TO_WAIT", 0)
    plan = Plan(("true",), (1,), tmp_path / "sweep")
    with ThreadPoolExecutor() as pool, locks.locked(plan.folder, "the start of this sweep"):
        run = pool.submit(runs.one, plan, 0)
        time.sleep(0.3)
        assert not run.done()
    assert run.result().status == 0


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path, monkeypatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with pytest.raises(ValueError, match=r"cannot be locked \(No locks available\): name another --output"):
        runs.sweep(Plan(("true",), (1,), tmp_path / "sweep"))


def test_another_image_in_the_same_folder_is_refused(sweep, tmp_path: Path) -> None:
    sweep(TRAINING, "--seeds", "1")
    description = tmp_path / "sweep/sweep.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"image": {"name": "pytorch"}}))
    assert (
        "contains a sweep with another image ({'name': 'pytorch'}, now {}): name a new"
        in sweep(TRAINING, "--seeds", "2").stderr
    )


def test_another_number_of_threads_names_the_variable_that_helps(sweep) -> None:
    sweep(TRAINING, "--seeds", "1", OMP_NUM_THREADS="1")
    done = sweep(TRAINING, "--seeds", "1", OMP_NUM_THREADS="2")
    message = (
        "contains a sweep with another number of threads (1, now 2): set OMP_NUM_THREADS=1, or name a new --output"
    )
    assert done.returncode == 2 and message in done.stderr


def test_a_script_that_has_changed_since_is_refused(sweep) -> None:
    sweep(TRAINING, "--seeds", "2")
    done = sweep(TRAINING + "#", "--seeds", "3")
    assert done.returncode == 2
    assert "script.py has changed since seed 42 ran: name a new --output, or delete sweep" in done.stderr


def test_a_folder_that_holds_something_else_stays_as_it_is(sweep, tmp_path: Path) -> None:
    (tmp_path / "sweep/seed-42").mkdir(parents=True)
    (tmp_path / "sweep/seed-42/model.bin").touch()
    done = sweep(TRAINING)
    assert done.returncode == 2
    assert "sweep is no sweep: it contains seed-42: name a new or empty --output" in done.stderr
    assert (tmp_path / "sweep/seed-42/model.bin").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (["--seeds", "x"], "--seeds x: expected how many, as in 5, or which, as in 1,7,42"),
        (["--seeds", "00"], "--seeds 00: expected how many"),
        (["--mode", "off"], "mode off seeds nothing: sweep in mode strict or warn"),
        (["--pattern", "x", "--file", "y"], "expected --pattern or --file, found both"),
        (["--pattern", "(x)", "--metric", "a", "--metric", "b"], "--pattern finds one metric, found 2: a, b"),
        (["--output", "script.py"], "script.py: cannot contain a sweep"),
        (["--only", "5"], "--only 5: expected 0 to 4, one of the 5 seeds"),
        (["--only", "1", "--table"], "not allowed with argument --only"),
        (["--only", "1", "--parallel", "2"], "leave out --parallel with --only, which runs one seed"),
        (["--launcher", "x"], "--launcher is for --on slurm"),
    ],
)
def test_wrong_use_ends_with_2(sweep, options: list[str], message: str) -> None:
    done = sweep(TRAINING, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and "Traceback" not in done.stderr


CURVES = {1: [3.0, 2.0, 1.0], 2: [4.0, 3.0, 2.0]}


def test_a_plot_has_a_line_for_each_seed_a_mean_and_a_band_around_it() -> None:
    shapes = figure.figure("loss", CURVES)
    (band,) = (shape for shape in shapes if isinstance(shape, figure.Band))
    (mean,) = (shape for shape in shapes if isinstance(shape, figure.Line) and shape.colour == figure.MEAN)
    seeds = [shape for shape in shapes if isinstance(shape, figure.Line) and shape.colour == figure.SEED]
    assert len(seeds) == 2 and all(len(seed.points) == 3 for seed in seeds)
    for (_, above), (_, middle), (_, under) in zip(band.upper, mean.points, band.lower, strict=True):
        assert above < middle < under  # y grows downwards
        assert middle - above == pytest.approx(under - middle)
    assert [up for _, up in mean.points] == sorted(up for _, up in mean.points)  # a falling loss


def test_a_plot_of_single_values_has_the_seeds_side_by_side() -> None:
    shapes = figure.figure("accuracy", {7: [0.5], 8: [0.75]})
    words = [shape.text for shape in shapes if isinstance(shape, figure.Words)]
    assert {"7", "8", "seed"} <= set(words)
    assert sum(isinstance(shape, figure.Line) and shape.colour == figure.INK for shape in shapes) == 3  # with the axis


def test_a_value_that_is_no_number_leaves_a_gap() -> None:
    shapes = figure.figure("loss", {1: [1.0, math.nan, 3.0], 2: [2.0, 2.0, math.inf]})
    assert "nan" not in svg.drawn(shapes, "") and "inf" not in svg.drawn(shapes, "")


@pytest.mark.parametrize(
    "low, high, expected", [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1, 10, [2, 4, 6, 8, 10]), (-3, 4, [-2, 0, 2, 4])]
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert figure.ticks(low, high) == expected


def test_a_png_has_the_colours_of_the_plot_and_the_same_bytes_each_time() -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow is in the images, where tests/image/test_sweep.py has it")
    content = png.drawn(figure.figure("loss", CURVES))
    with image.open(BytesIO(content)) as drawn:
        assert drawn.size == (figure.WIDTH * png.SCALE, figure.HEIGHT * png.SCALE)
        colours = {colour for _, colour in drawn.getcolors(maxcolors=drawn.width * drawn.height)}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in (figure.MEAN, figure.INK)} <= colours
    assert png.drawn(figure.figure("loss", CURVES)) == content
    assert png.drawn(figure.figure("loss", {1: [math.nan], 2: [math.inf]})) != content


def test_names_in_the_page_cannot_be_markup() -> None:
    assert "<script" not in svg.drawn(figure.figure("<script>", CURVES), "<script>")


def test_any_name_gives_an_svg_that_is_valid_xml() -> None:
    name = "\x01 \n \x1b <\ud800>"
    assert xml.fromstring(svg.drawn(figure.figure(name, CURVES), name)).get("role") == "img"


def test_only_so_many_names_are_listed() -> None:
    assert metric.listed(map(str, range(99))).endswith(", 11, …")
