"""`seedbed resume` tells a training that resumes exactly from one that does not, and names what was not restored."""

import json
import os
from pathlib import Path

import pytest
from seedbed.compare import Difference
from seedbed.recording.record import Rank, Record, Step
from seedbed.resume import copies, judge, runs

TRAINING = """
import os, pickle, random, signal, sys
from pathlib import Path
import seedbed
from seedbed.recording.writer import writer
from seedbed.resume import inside

inside.stop_if_asked()

def record(before, batch, loss, after):
    states = {f"state {name}": str(state) for name, state in (inside.all_generators() | before).items()}
    writer.step(lambda: {"data": str(batch), "loss": [loss.hex()], "parameters": str(after), **states})

leave = os.environ.get("LEAVE", "").split(",")
saved_in = Path(os.environ.get("SAVED_IN", "."), "checkpoint.pickle")
weight, speed, rate, mean, begin, order = 1.0, 0.0, 0.1, 0.0, 0, None
own = random.Random(5)
if saved_in.exists() and "all" not in leave:
    saved = pickle.loads(saved_in.read_bytes())
    begin = saved["done"]
    if "weight" not in leave: weight = saved["weight"]
    if "speed" not in leave: speed = saved["speed"]
    if "rate" not in leave: rate = saved["rate"]
    if "mean" not in leave: mean = saved["mean"]
    order = saved["order"]
    if "own" not in leave: own.setstate(saved["own"])
    if "generators" not in leave: seedbed.restore(saved["generators"])
    if "position" in leave: begin, order = begin - begin % 8, order
print("training")
for done in range(begin, 24):
    if done % 8 == 0 and not ("position" in leave and order and done == begin):
        order = random.sample(range(done, done + 8), 8)
    batch = order[done % 8]
    before = {"weights": weight, "optimizer": speed, "rate": rate, "batch": batch, "statistics": mean}
    mean = 0.9 * mean + 0.1 * batch
    loss = weight * batch + random.random() + own.random()
    speed = 0.9 * speed + loss
    rate *= 0.99
    record(before, batch, loss, weight := weight - rate * 0.01 * speed)
    if done % 3 == 2 and "checkpoint" not in leave:
        kept = {"done": done + 1, "weight": weight, "speed": speed, "rate": rate, "order": order, "mean": mean}
        saved_in.write_bytes(pickle.dumps(kept | {"own": own.getstate(), "generators": seedbed.state()}))
"""  # steps as torch or Keras would take them


@pytest.fixture
def resume(seedbed, tmp_path: Path):
    """`seedbed resume` of that training, cut off after steps 10 and 20, leaving out something of what it saves."""
    (tmp_path / "train.py").write_text(TRAINING)

    def resume(*options: str, leave: str = "", **variables: str):
        places = () if "--at" in options else ("--at", "10", "--at", "20")
        command = () if "--" in options else ("--", "python", "train.py")
        return seedbed("resume", *places, *options, *command, LEAVE=leave, **variables)

    return resume


def places(done) -> list[dict]:
    return json.loads(done.stdout)["places"]


def test_a_training_that_restores_all_is_equal(resume, tmp_path: Path) -> None:
    done = resume()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EQUAL: every step after resuming has the bits of the training without interruption." in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.endswith("  equal")]
    assert rows == [["10", "9", "15", "equal"], ["20", "18", "6", "equal"]]
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.parametrize(
    ("leave", "kind", "names"),
    [
        ("generators", "loss", ["Python's generator (random)"]),
        ("own", "loss", ["your generator own in train.py"]),
        ("speed", "parameters", ["the optimizer's state"]),
        ("rate", "parameters", ["the learning rate"]),
        ("speed,rate,own", "loss", ["the optimizer's state", "the learning rate", "your generator own in train.py"]),
        ("mean", "statistics", ["the statistics of BatchNorm (or other buffers of the model)"]),
        ("weight", "loss", ["the model's weights"]),
        ("position", "data", ["the order of the data: step 10 repeats the batch of step 9 (the epoch began again?)"]),
    ],
)
def test_what_was_not_restored_is_named(resume, leave: str, kind: str, names: list[str]) -> None:
    done = resume("--json", leave=leave)
    assert done.returncode == 1, done.stdout + done.stderr
    first = places(done)[0]
    assert (first["outcome"], first["difference"]["kind"], first["difference"]["step"]) == ("differs", kind, 10)
    assert first["not_restored"] == names


def test_the_report_says_where_and_what(resume) -> None:
    lines = resume(leave="speed").stdout.splitlines()
    assert "DIFFERS. Cut off (SIGKILL) after step 10, it resumes after step 9." in lines
    assert "First difference: parameters (update), step 10." in lines
    assert lines[-3:] == [
        "Not restored:",
        "  the optimizer's state",
        "What to save and how to restore it: docs/resume.md in Seedbed's repository",
    ]


def test_state_without_effect_is_told_and_is_no_difference(resume, tmp_path: Path) -> None:
    unused = TRAINING.replace("own = random.Random(5)", "own = random.Random(5); spare = random.Random(6)").replace(
        "for done in range", "spare.random() if begin == 0 else None\nfor done in range"
    )
    (tmp_path / "train.py").write_text(unused)
    done = resume()
    assert done.returncode == 0
    assert "Not restored, without effect on these steps: your generator spare in train.py." in done.stdout


def test_a_script_that_starts_from_the_beginning_is_told_so(resume) -> None:
    done = resume(leave="all")
    assert done.returncode == 1
    assert "STARTS FROM STEP 0. Cut off (SIGKILL) after step 10, the script does not resume." in done.stdout
    assert "It had written: checkpoint.pickle." in done.stdout


def test_a_script_that_has_saved_nothing_is_wrong_use(resume) -> None:
    done = resume(leave="checkpoint")
    assert done.returncode == 2
    assert "NO CHECKPOINT. Cut off (SIGKILL) after step 10: The script has written no file by then." in done.stdout


def test_a_step_that_is_never_reached_is_wrong_use(resume) -> None:
    done = resume("--at", "24")
    assert done.returncode == 2
    assert "the training has 24 steps, and never goes on after step 24: name an earlier one" in done.stderr


@pytest.mark.parametrize("places", [(), ("--at", "10")])
def test_a_command_that_trains_nothing_is_wrong_use(seedbed, places: tuple[str, ...]) -> None:
    done = seedbed("resume", *places, "--", "python", "-c", "print(1)")
    assert done.returncode == 2
    assert "the command took no training step with torch or Keras" in done.stderr


def test_a_command_that_fails_by_itself_is_told_with_its_last_words(resume) -> None:
    done = resume("--", "python", "-c", "raise SystemExit('no data')")
    assert done.returncode == 1
    assert "resume: the command ended with status 1 and said: no data" in done.stderr


def test_a_run_that_fails_as_it_resumes_is_told_with_its_last_words(resume) -> None:
    done = resume("--with", "python -c 'raise SystemExit(\"bad checkpoint\")'")
    assert done.returncode == 1
    assert "FAILS. Cut off (SIGKILL) after step 10: The resumed run ended with status 1" in done.stdout
    assert "bad checkpoint" in done.stdout


def test_a_training_that_does_not_repeat_is_told_before_anything_else(resume, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINING.replace("own.random()", "random.SystemRandom().random()"))
    done = resume()
    assert done.returncode == 1
    assert "DOES NOT REPEAT: two runs differ before any interruption." in done.stdout
    assert "seedbed verify -- python train.py" in done.stdout


def test_checkpoints_that_runs_share_are_found_out(resume, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = resume(SAVED_IN=str(tmp_path / "elsewhere"))
    assert done.returncode == 1
    assert "have the script write to '{folder}'" in done.stdout


def test_a_folder_that_the_command_names_is_each_runs_own(resume, tmp_path: Path) -> None:
    done = resume("--", "sh", "-c", "SAVED_IN={folder} exec python train.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["train.py"]


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("/train", "/copy"),
        ("--out=/train/out", "--out=/copy/out"),
        ("-o/train/out", "-o/copy/out"),
        ("cd /train; cp /train/a /train/b", "cd /copy; cp /copy/a /copy/b"),
        ("/data/train/a", "/data/train/a"),  # control: another folder, whose path has the same name in it
        ("/train2/a:/train/b", "/train2/a:/copy/b"),
        ("train/a", "train/a"),
    ],
)
def test_a_path_into_the_working_folder_is_one_into_its_copy(word: str, there: str) -> None:
    assert runs.in_copy(word, Path("/train"), Path("/copy")) == there


def test_the_working_folder_may_hold_the_folder_for_temporary_files(resume, tmp_path: Path) -> None:
    """As /tmp does: its copy must not hold copies of itself."""
    done = resume(TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_command_may_resume_it(resume) -> None:
    assert resume("--with", "env LEAVE=speed python train.py").returncode == 1
    assert resume("--with", "env LEAVE= python train.py", leave="").returncode == 0


@pytest.mark.parametrize("handled", [False, True])
def test_a_signal_that_the_script_handles(resume, tmp_path: Path, handled: bool) -> None:
    """SIGTERM ends it as SIGKILL does, or at the end of the step, with a checkpoint of its own."""
    code = TRAINING.replace("import os,", "asked = []\nimport os,", 1).replace(
        "inside.stop_if_asked()", "signal.signal(signal.SIGTERM, lambda *_: asked.append(1))\ninside.stop_if_asked()"
    )
    code = code.replace("if done % 3 == 2 and", "if (asked or done % 3 == 2) and") + "        if asked: sys.exit(143)\n"
    assert code.splitlines()[-2].strip().startswith("saved_in.write_bytes(")
    (tmp_path / "train.py").write_text(code if handled else TRAINING)
    done = resume("--signal", "TERM", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [place["after"] for place in places(done)] == ([10, 20] if handled else [9, 18])


def test_a_signal_that_is_ignored_is_told(resume, tmp_path: Path) -> None:
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TRAINING
    (tmp_path / "train.py").write_text(ignoring)
    done = resume("--signal", "TERM")
    assert done.returncode == 2
    assert "NOT STOPPED. Cut off (SIGTERM) after step 10" in done.stdout


def test_the_places_follow_from_the_seed(resume) -> None:
    chosen = []
    for seed in ("42", "42", "43"):
        done = resume("--json", "--seed", seed, "--", "python", "train.py")
        chosen.append([place["at"] for place in places(done)])
    assert chosen[0] == chosen[1] == [10, 20]


@pytest.mark.parametrize(
    ("leave", "keep", "verdict"),
    [
        ("", (), "EQUAL: every step"),
        ("speed", (), "DIFFERS. Cut off"),
        ("", ("--keep", "kept"), "EQUAL: every step"),  # within the working folder, which is copied elsewhere
    ],
)
def test_verify_resumes_what_it_has_found_equal(seedbed, tmp_path: Path, leave: str, keep: tuple, verdict: str) -> None:
    """Its own runs share the working folder, so that a script that resumes must be told to begin anew."""
    (tmp_path / "train.py").write_text(TRAINING)
    command = (
        "sh",
        "-c",
        "test {run} = resume || rm -f checkpoint.pickle; python train.py; s=$?; "
        "test {run} = resume || rm -f checkpoint.pickle; exit $s",
    )
    done = seedbed("verify", "-n", "2", "--no-other-seed", "--resume", *keep, "--", *command, LEAVE=leave)
    assert "EQUAL: 2 runs" in done.stdout
    assert verdict in done.stdout
    assert done.returncode == (1 if leave else 0)


def test_the_records_are_kept_if_asked(resume, tmp_path: Path) -> None:
    assert resume("--keep", "kept").returncode == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "cut-10", "cut-20", "resumed-10", "resumed-20", "uninterrupted"
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["", "SEEDBED_RECORD_STATES", "SEEDBED_RECORD_STOP"])
def test_states_are_in_a_record_only_if_asked(run, tmp_path: Path, asked: str) -> None:
    code = "import sys; print('seedbed.resume' in sys.modules)"
    done = run(code, SEEDBED_RECORD=str(tmp_path / "r"), **({asked: "1"} if asked else {}))
    assert done.stdout == f"{bool(asked)}\n"
    assert not asked or run(code, **{asked: "1"}).stdout == "False\n"


def test_a_training_is_cut_off_right_after_its_step(run, tmp_path: Path) -> None:
    done = run(TRAINING, SEEDBED_RECORD=str(tmp_path / "r"), SEEDBED_RECORD_STOP="7:9")
    assert done.returncode == -9
    lines = (tmp_path / "r" / "rank0.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 7


def test_a_training_whose_record_has_no_place_goes_on(run) -> None:
    done = run(TRAINING, SEEDBED_RECORD="/proc/no/such/place", SEEDBED_RECORD_STOP="7:9")
    assert done.returncode == 0, done.stderr


def test_a_copy_of_the_working_folder_leads_where_it_led(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    (folder / "inner").mkdir(parents=True)
    (folder / "file").write_text("x")
    (folder / "inside").symlink_to("file")
    (folder / "outside").symlink_to("../data")
    (folder / ".git").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "records").mkdir()
    copies.copy(folder, tmp_path / "copy", without=(folder / "records",))
    found = {path.name: path for path in (tmp_path / "copy").iterdir()}
    assert found.keys() == {"inner", "file", "inside", "outside", ".git"}
    assert found["inside"].resolve() == tmp_path / "copy" / "file"
    assert found["outside"].readlink() == tmp_path / "data"
    assert found[".git"].readlink() == folder / ".git"


def test_a_folder_that_is_too_large_to_copy_is_refused_with_what_helps(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "data").write_bytes(bytes(100))
    monkeypatch.setattr(copies, "MOST", 99)
    with pytest.raises(ValueError, match=r"--output '\{folder\}'"):
        copies.copy(tmp_path / "work", tmp_path / "copy")


def steps(*weights: str, first: int = 1, **states: list[str]) -> tuple[Step, ...]:
    rows = zip(weights, *states.values(), strict=True)
    return tuple(
        Step(number, {"loss": weight}, states={"weights": weight, **dict(zip(states, others, strict=True))})
        for number, (weight, *others) in enumerate(rows, start=first)
    )


@pytest.mark.parametrize(
    ("whole", "again", "done"),
    [
        (steps("a", "b", "c", "d"), steps("c", "d"), 2),
        (steps("a", "b", "c", "d"), steps("a", "b", "c", "d"), 0),
        (steps("a", "b", "c", "d"), steps("x", "y"), 2),  # other weights: the number of steps says it
        (steps("a", "b", "c", "d"), steps("b", "c", "d", "e", "f"), 1),  # more steps: the epoch began again
        (steps("a", "b", "c", "d"), steps("a", "y"), 2),  # weights made anew, in a run that counts on
        (steps("a", "a", "a", "d", rate=["0", "1", "2", "3"]), steps("a", "d", rate=["2", "3"]), 2),  # not learning yet
    ],
)
def test_how_many_steps_the_resumed_run_found_done(whole, again, done: int) -> None:
    assert judge.steps_done(whole, again, 3) == done


def test_skipped_batches_are_counted() -> None:
    whole = steps("a", "b", "c", "d", batch=["1", "2", "3", "4"])
    skipping, another, right = (steps("b", first=2, batch=[batch]) for batch in "492")
    assert judge.order_of_data(whole, skipping, 2) == (
        "the order of the data: step 2 has the batch of step 4: 2 skipped"
    )
    assert "never had (shuffled again?)" in judge.order_of_data(whole, another, 2)
    assert judge.order_of_data(whole, right, 2) == ""


def test_a_resumed_run_that_stops_early_differs() -> None:
    ranks = [Rank(0, {}, found, (), True) for found in (steps("a", "b", "c", "d"), steps("b", "c"))]
    whole, again = (Record(Path(), {}, (rank,), status=0) for rank in ranks)
    finding = judge.resumed(whole, again, 1, ())
    assert finding.difference == Difference("steps", ("4", "3"), 4)
