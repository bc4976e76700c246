"""A record holds a training's steps as bits, is readable at any moment, and belongs to one process."""

import gc
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from seedbed import recording, resume
from seedbed.observe import lines
from seedbed.observe.lines import Lines
from seedbed.recording import facts, launch, record

from tests.processes import still_running

LIBRARY = """
from seedbed.recording.writer import thread_name, writer

def train(*losses, ready=True):
    for loss in losses: writer.step(lambda loss=loss: {"loss": [float(loss).hex()]}, thread_name(), lambda: ready)
"""  # in the place of torch: the tests have none


@pytest.fixture
def recorded(run, install, tmp_path: Path):
    """The record of a script that trains with that library."""

    def recorded(code: str, **variables: str) -> record.Record:
        install({"library.py": LIBRARY})
        folder = tmp_path / "record"
        done = run(code, SEEDBED_RECORD=str(folder), **variables)
        assert done.returncode == 0, done.stderr
        return record.read(folder)

    return recorded


def losses(found: record.Record) -> list[list[float | None]]:
    return [[step.loss for step in rank.steps] for rank in found.ranks]


def test_numbers_come_back_as_the_same_bits(recorded) -> None:
    found = recorded("import library; library.train(0.1, 1e-310, float('nan'), float('-inf'))")
    assert [step.values["loss"] for step in found.steps] == [(0.1).hex(), (1e-310).hex(), "nan", "-inf"]
    assert found.ranks[0].finished


def test_a_step_that_waits_for_a_gpu_is_written_at_the_end(recorded) -> None:
    assert losses(recorded("import library; library.train(1, 2, ready=False)")) == [[1, 2]]


def test_a_process_that_takes_no_step_leaves_no_file(run, install, tmp_path: Path) -> None:
    install({"library.py": LIBRARY})
    assert run("import library", SEEDBED_RECORD=str(tmp_path / "record")).returncode == 0
    assert not (tmp_path / "record").exists()


def test_a_killed_training_leaves_whole_lines(run, install, tmp_path: Path) -> None:
    install({"library.py": LIBRARY})
    code = "import library, os, signal; library.train(1, 2, 3); os.kill(os.getpid(), signal.SIGKILL)"
    assert run(code, SEEDBED_RECORD=str(tmp_path / "record")).returncode == -signal.SIGKILL
    found = record.read(tmp_path / "record")
    assert losses(found) == [[1, 2, 3]]
    assert not found.ranks[0].finished


def test_a_run_killed_in_the_middle_of_its_steps_can_be_read(python: Path, environ, install, tmp_path: Path) -> None:
    install({"library.py": LIBRARY, "script.py": "import library\nfor _ in iter(int, 1): library.train(0.1)"})
    command = [python, "-m", "seedbed", "run", "--record", "r", "--", "python", "script.py"]
    environ = environ | {"PATH": f"{python.parent}{os.pathsep}{environ['PATH']}"}
    launcher = subprocess.Popen(command, env=environ, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    steps = tmp_path / "r" / "rank0.jsonl"
    while not steps.exists() or steps.read_bytes().count(b"step") < 100:
        time.sleep(0.01)
    os.killpg(launcher.pid, signal.SIGKILL)
    launcher.wait()
    found = record.read(tmp_path / "r")
    assert [step.number for step in found.steps] == list(range(1, len(found.steps) + 1))
    assert (len(found.steps) >= 99, found.status, found.ranks[0].finished) == (True, None, False)


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "rank0.jsonl").write_bytes(b'{"run": {}}\n{"step": 1, "loss": ["0x1p+0"]}\n{"step": 2, "lo')
    assert losses(record.read(tmp_path)) == [[1.0]]


def test_ranks_and_later_processes_have_files_of_their_own(recorded, tmp_path: Path) -> None:
    for rank in ("10", "2", "2"):
        found = recorded("import library, os; library.train(int(os.environ['RANK']))", RANK=rank)
    assert sorted(file.name for file in (tmp_path / "record").iterdir()) == [
        "rank10.jsonl", "rank2.2.jsonl", "rank2.jsonl"
    ]  # fmt: skip
    assert [rank.rank for rank in found.ranks] == [2, 2, 10]


def test_a_forked_child_has_its_own_steps(recorded) -> None:
    code = """
import library, os
library.train(1)
if os.fork() == 0:
    library.train(2)
    raise SystemExit
os.wait()
library.train(3)
"""
    assert sorted(losses(recorded(code))) == [[1, 3], [2]]


def test_a_child_of_multiprocessing_ends_its_file(recorded) -> None:
    code = """
import library, multiprocessing
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=library.train, args=(1, 2))
    child.start(); child.join()
"""
    (child,) = recorded(code).ranks
    assert child.finished
    assert len(child.steps) == 2


def test_the_run_says_what_decides_over_its_bits(recorded, tmp_path: Path) -> None:
    found = recorded("import library; library.train(1)", SEEDBED_SEED="7", NCCL_ALGO="Tree", TOKEN="secret").facts
    assert (found["seed"], found["mode"]) == (7, "strict")
    assert found["cpu"]["model"]
    assert found["sources"].keys() == {"script.py", "library.py"}
    assert found["environment"]["NCCL_ALGO"] == "Tree"
    assert "secret" not in (tmp_path / "record" / "rank0.jsonl").read_text()
    assert found["environment"]["TOKEN"].startswith("hidden:")


def test_it_works_in_mode_off_where_nothing_else_does(recorded) -> None:
    assert recorded("import library; library.train(1)", SEEDBED_MODE="off").facts["mode"] == "off"


def test_what_cannot_be_recorded_is_said_once_and_does_no_harm(run, install) -> None:
    install({"library.py": LIBRARY})
    code = """
from seedbed.recording.writer import harmless
@harmless
def note(): raise RuntimeError("no such tensor")
note(); note(); print("done")
"""
    done = run(code)
    assert done.stdout == "done\n"
    assert done.stderr == "seedbed: something is missing in the record (note): no such tensor\n"


def test_without_the_variable_nothing_is_loaded(output) -> None:
    assert output("import sys; print([name for name in sys.modules if 'recording' in name])") == "[]\n"


def test_the_launcher_keeps_what_was_printed_and_how_it_ended(seedbed, tmp_path: Path) -> None:
    done = seedbed("run", "--record", "r", "--", "sh", "-c", "echo one; echo two >&2; printf three; exit 7")
    assert (done.returncode, done.stdout) == (7, "one\nthree")
    assert "two\n" in done.stderr
    found = record.read(tmp_path / "r")
    assert (found.output, found.status) == (("one", "three"), 7)
    assert found.facts["command"][0] == "sh"


def test_a_signal_is_told_as_a_shell_does(seedbed) -> None:
    assert seedbed("run", "--record", "r", "--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_a_folder_with_something_in_it_is_refused(seedbed, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "x").touch()
    done = seedbed("run", "--record", "r", "--", "true")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "seedbed: run: r: expected a new or empty folder for the record",
    )


def test_the_command_dies_with_its_launcher(python: Path, environ: dict[str, str], tmp_path: Path) -> None:
    command = [python, "-m", "seedbed", "run", "--record", "r", "--", "sh", "-c", "echo $$ >pid; exec sleep 600"]
    launcher = subprocess.Popen(command, env=environ, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    launcher.kill()
    launcher.wait()
    child = int((tmp_path / "pid").read_text())
    assert not still_running([child])
    assert record.read(tmp_path / "r").status is None


def test_an_output_that_was_not_written_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("from before")
    command = ["sh", "-c", f"echo x >{tmp_path / 'new'}"]
    outputs = tuple(tmp_path / name for name in ("old", "new", "none"))
    old, new, none = launch.run(command, tmp_path / "r", dict(os.environ), outputs=outputs).outputs.values()
    assert (old, len(new), none) == ("not written by this run", 64, "missing")


def test_the_data_folder_has_a_fingerprint_that_any_change_changes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    seen = {facts.fingerprint(tmp_path / "a")}
    (tmp_path / "a" / "x").write_text("2")
    seen.add(facts.fingerprint(tmp_path / "a"))
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    seen.add(facts.fingerprint(tmp_path / "a"))
    assert len(seen) == 3


@pytest.mark.parametrize("packed", [False, True])
def test_the_commit_is_read_without_git(tmp_path: Path, packed: bool) -> None:
    git = tmp_path / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    if packed:
        (git / "packed-refs").write_text("# pack-refs\n" + "ab" * 20 + " refs/heads/main\n")
    else:
        (git / "refs" / "heads" / "main").write_text("ab" * 20 + "\n")
    (tmp_path / "below").mkdir()
    assert facts.commit(tmp_path / "below") == "ab" * 20


def test_numbers_are_read_from_what_was_printed(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "output.jsonl")
    for line in (
        {"run": {}},
        {"line": 1, "text": "loss 0.5"},
        {"line": 2, "text": "hello"},
        {"line": 3, "text": "loss nan"},
    ):
        lines.write(line)
    assert [str(number) for number in record.series(record.read(tmp_path), r"loss (\S+)")] == ["0.5", "nan"]


@pytest.mark.parametrize("text", ["", "not json\n", "{}\n", '{"run": {}}\nnot json\n'])
def test_what_is_no_record_is_refused_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "rank0.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"rank0\.jsonl: expected a record"):
        record.read(tmp_path)


THREADS = """
import threading, library, sys
sys.setswitchinterval(1e-6)
def work(number): library.train(*[number] * 200)
threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
for thread in threads: thread.start()
library.train(*[0] * 200)
for thread in threads: thread.join()
"""


def test_threads_that_train_share_one_file_and_count_their_own_steps(recorded) -> None:
    found = recorded(THREADS)
    assert [path.name for path in found.path.iterdir()] == ["rank0.jsonl"]
    assert losses(found) == [[float(number)] * 200 for number in range(5)]
    assert [[step.number for step in rank.steps] for rank in found.ranks] == [[*range(1, 201)]] * 5
    assert [rank.thread.split(" ")[0] for rank in found.ranks] == ["", *(f"Thread-{number}" for number in range(1, 5))]


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    lines = [
        '{"run": {"rank": 0}}',
        '{"step": 1, "loss": ["0x1p+0"]}',
        '{"step": 2, "lo',
        '{"step": 3, "loss": ["0x1p+1"]}',
    ]
    (tmp_path / "rank0.jsonl").write_text("\n".join(lines) + "\n")
    (rank,) = record.read(tmp_path).ranks
    assert ([step.number for step in rank.steps], rank.lost) == ([1, 3], 1)


def test_a_full_disk_is_said_once_and_ends_neither_the_training_nor_later_lines(tmp_path: Path, capfd) -> None:
    with Lines(tmp_path / "rank0.jsonl") as lines:
        lines.write({"run": {}})
        file, lines.descriptor = lines.descriptor, os.open("/dev/full", os.O_WRONLY)
        lines.write({"step": 1})
        lines.write({"step": 2})
        os.close(lines.descriptor)
        lines.descriptor = file
        lines.write({"step": 3})
    reason = f"{lines.path}: No space left on device"
    assert capfd.readouterr().err == f"seedbed: lines are missing in the record: {reason}\n"
    assert [step.number for step in record.read(tmp_path).steps] == [3]


def test_a_line_of_which_only_a_part_was_written_is_set_apart_from_the_next(tmp_path: Path, monkeypatch) -> None:
    write, room = os.write, [5]

    def nearly_full(descriptor: int, text: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return write(descriptor, text[: room.pop()])

    with Lines(tmp_path / "rank0.jsonl") as lines:
        lines.write({"run": {}})
        monkeypatch.setattr(os, "write", nearly_full)
        lines.write({"step": 1})
        monkeypatch.undo()
        lines.write({"step": 2})
    assert [step.number for step in record.read(tmp_path).steps] == [2]


def test_a_record_that_has_no_place_does_no_harm(run, install) -> None:
    install({"library.py": LIBRARY})
    done = run("import library; library.train(1, 2); print('trained')", SEEDBED_RECORD="/proc/no/such/place")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("the record") == 1


@pytest.mark.parametrize("name", [recording.FOLDER, resume.STATES, resume.STOP])
def test_by_what_a_run_is_recorded_is_no_fact_of_it(name: str) -> None:
    """The runs that `resume` compares are told different things."""
    assert facts.variables({name: "1", "OMP_NUM_THREADS": "2"}).keys() == {"OMP_NUM_THREADS"}


def test_launching_leaves_no_file_open(tmp_path: Path) -> None:
    gc.collect()  # what earlier tests left open is closed now, not in between
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(3):
        launch.run(["true"], tmp_path / str(number), dict(os.environ))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_journal_misses_lines_as_a_record_does(tmp_path: Path, capfd) -> None:
    """A full disk does not end the program that is traced, and a torn line costs itself only."""
    with lines.first_new((tmp_path / f"0-{number}.jsonl" for number in (1, 2)), "journal") as journal:
        journal.write({"step": 1})
        file, journal.descriptor = journal.descriptor, os.open("/dev/full", os.O_WRONLY)
        journal.write({"step": 2})
        os.close(journal.descriptor)
        journal.descriptor = file
        os.write(file, b'{"step": 3, "to\n')
        journal.write({"seen": "update"})
        journal.write({"step": 4})
    reason = f"{journal.path}: No space left on device"
    assert capfd.readouterr().err == f"seedbed: lines are missing in the journal: {reason}\n"
    assert [line for _, line in lines.read(journal.path, "a journal", ("step",))] == [{"step": 1}, {"step": 4}]


def test_each_process_has_the_first_name_that_is_free(tmp_path: Path) -> None:
    names = [tmp_path / f"{number}.jsonl" for number in (1, 2)]
    assert [lines.first_new(names).path, lines.first_new(names).path] == names
    with pytest.raises(OSError, match="too many processes"):
        lines.first_new(names)
