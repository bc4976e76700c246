"""What `seedbed sweep --on slurm` writes and says; tests/integration/slurm runs it on a real Slurm."""

import argparse
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from seedbed.sweep.slurm import client, follow, jobs, scripts
from seedbed.sweep.slurm.client import Task
from seedbed.sweep.slurm.follow import Follower
from seedbed.sweep.slurm.scripts import Batch, batch_of, ranges

OPTIONS = {
    "seeds": "3",
    "metric": None,
    "pattern": None,
    "file": None,
    "output": Path("sweep"),
    "mode": None,
    "json": False,
    "parallel": None,
    "sbatch": None,
    "sbatch_table": None,
    "launcher": None,
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OMP_", "SEEDBED_", "SLURM_"))]:
        monkeypatch.delenv(name)


def batch(*command: str, **options: object) -> Batch:
    return batch_of(argparse.Namespace(**OPTIONS | options), list(command or ["python", "train.py"]))


def words_of(script: str, folder: Path, **variables: str) -> list[str]:
    """What the script runs: its launcher is a program that writes its words down."""
    (folder / "launcher").write_text('#!/bin/sh\nprintf "%s\\0" "$@" >"$WORDS"\n')
    (folder / "launcher").chmod(0o755)
    environ = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "WORDS": f"{folder}/words"} | variables
    subprocess.run(["sh", "-c", script], cwd=folder, env=environ, check=True)
    return (folder / "words").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize(
    "indexes, text",
    [([0], "0"), ([0, 1, 2], "0-2"), ([5, 0, 2, 3], "0,2-3,5"), ([7, 9], "7,9"), (list(range(1000)), "0-999")],
)
def test_an_array_names_its_seeds_by_ranges(indexes: list[int], text: str) -> None:
    assert ranges(indexes) == text


def test_words_survive_the_script(tmp_path: Path) -> None:
    command = ["python", "it's", 'a "b"', "$HOME `id` *", "two\nlines", "\\", "", "{folder}", "{0}%a", "\udcff"]
    made = batch(*command, launcher="launcher one", pattern="'(x)'", output=Path("a b"))
    (tmp_path / "a b/slurm").mkdir(parents=True)
    words = words_of(made.scripts["seed.sh"], tmp_path, SLURM_ARRAY_TASK_ID="2")
    assert words[: words.index("--")] == [
        *("one", "env", "SEEDBED_SEED=42", "SEEDBED_MODE=strict"),
        *(f"OMP_NUM_THREADS={made.plan.threads}", "PYTHONIOENCODING=utf-8", "seedbed", "sweep"),
        *("--seeds=3", "--output=a b", "--pattern='(x)'", "--only", "2"),
    ]
    assert words[words.index("--") + 1 :] == command
    words = words_of(made.scripts["table.sh"], tmp_path)
    assert words[words.index("--") - 1 :] == ["--table", "--", *command]
    assert (tmp_path / "a b/slurm/table.status").read_text() == "0\n"


def test_a_launcher_is_words_of_a_shell_on_the_node(tmp_path: Path) -> None:
    made = batch(launcher='FROM=here launcher --bind "$TMPDIR:/tmp"')
    assert words_of(made.scripts["seed.sh"], tmp_path, TMPDIR="/node's own")[:2] == ["--bind", "/node's own:/tmp"]


@pytest.mark.parametrize("launcher", ["", "  ", "a 'b", "a\nb"])
def test_a_launcher_that_is_no_command_is_refused(launcher: str) -> None:
    with pytest.raises(ValueError, match="--launcher"):
        batch(launcher=launcher)


@pytest.mark.parametrize(
    "sbatch, variables, threads",
    [
        (None, {}, None),
        ("--cpus-per-task=3", {}, "3"),
        ("--time=1 --cpus-per-task 3", {}, "3"),
        ("-c5 -C big", {}, "5"),
        ("-c 5", {"OMP_NUM_THREADS": "64"}, "64"),
        (None, {"OMP_NUM_THREADS": "64"}, "64"),
    ],
)
def test_threads_are_the_users_or_the_cpus_asked_for_or_those_of_a_sweep_here(
    sbatch: str | None, variables: dict[str, str], threads: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts.environment, "available_cpus", lambda: 7)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    made = batch(sbatch=sbatch)
    assert made.plan.threads == (threads or "7")
    assert f"OMP_NUM_THREADS={made.plan.threads} " in made.scripts["seed.sh"]
    told = made.array("name", [0])
    assert told.index(f"--cpus-per-task={made.plan.threads}") < len(told) - len(shlex.split(sbatch or "")) - 5


@pytest.mark.parametrize("sbatch", ["-c", "-c many", "-c 0", "--gpus='1"])
def test_options_for_sbatch_that_are_wrong_are_refused(sbatch: str) -> None:
    with pytest.raises(ValueError, match="--sbatch"):
        batch(sbatch=sbatch)


def test_what_must_be_comes_after_what_the_user_asks_for() -> None:
    made = batch(sbatch="--gpus=1 --output='my log'", output=Path("100%"), parallel=2)
    array, table = made.array("name", [0, 2]), made.table("name", "12")
    assert array[2:5] == [f"--cpus-per-task={made.plan.threads}", "--gpus=1", "--output=my log"]
    assert array[-3:] == ["--output=100%%/slurm/%a.log", "--array=0,2%2", "100%/slurm/seed.sh"]
    assert table[-3:] == ["--output=100%%/slurm/table.log", "--dependency=afterany:12", "100%/slurm/table.sh"]
    assert "--requeue" in array and "--requeue" in table
    assert made.table("name", None)[-2] == "--output=100%%/slurm/table.log"
    assert batch(parallel=0).array("name", [1])[-2] == "--array=1"


def test_the_table_asks_for_what_a_seed_asks_for_or_for_what_the_user_says() -> None:
    assert "--gpus=8" in batch(sbatch="--gpus=8").table("name", "12")
    made = batch(sbatch="--gpus=8 -c 3", sbatch_table="--partition=cpu")
    assert made.table("name", "12")[2:4] == ["--cpus-per-task=3", "--partition=cpu"]
    assert "--gpus=8" not in made.table("name", "12") and "--gpus=8" in made.array("name", [0])
    with pytest.raises(ValueError, match="--sbatch-table: leave out --dependency"):
        batch(sbatch_table="-d singleton")


def test_a_seed_does_not_depend_on_the_place_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SEEDBED_SEED=42 " in batch().scripts["seed.sh"]
    monkeypatch.setenv("SEEDBED_SEED", "7")
    monkeypatch.setenv("SLURM_PROCID", "0")  # as in every task of an array
    monkeypatch.setenv("SEEDBED_RANK_OFFSET", "1")
    made = batch()
    assert "SEEDBED_SEED=7 " in made.scripts["seed.sh"] and made.plan.seeds == (7, 8, 9)


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_what_squeue_shows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    lines = "13|N/A|PENDING|Dependency\\n12|1|RUNNING|None\\n12|0|OUT_OF_MEMORY|a|b\\n"
    program(tmp_path, "squeue", f'printf "{lines}"')
    tasks = client.queue("name")
    assert tasks == [
        Task("12", 0, "OUT_OF_MEMORY", "a|b"),
        Task("12", 1, "RUNNING", "None"),
        Task("13", None, "PENDING", "Dependency"),
    ]
    assert [task.active for task in tasks] == [False, True, True]


@pytest.mark.parametrize(
    "said, told",
    [
        ("sbatch: error: a\nsbatch: error: b", "sbatch: a; b: check --sbatch"),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", "does not answer: try again later"),
        ("sbatch: error: Invalid job array specification", "ask for fewer --seeds"),
        ("", "sbatch: status 3: check --sbatch"),
    ],
)
def test_what_slurm_says_is_one_line_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program(tmp_path, "sbatch", f"echo '{said}' >&2; exit 3")
    with pytest.raises(client.SlurmError) as error:
        client.submitted(["sbatch"])
    assert str(error.value).endswith(told) and "\n" not in str(error.value)


def test_without_slurm_one_line_says_where_to_run_it(seedbed, python: Path, tmp_path: Path) -> None:
    done = seedbed("sweep", "--on", "slurm", "--", "python", "train.py", PATH=str(python.parent))
    assert done.returncode == 2
    assert done.stderr == "seedbed: sweep: sbatch: no such command on PATH: run it on a login node of the cluster\n"
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--launcher", "x"], "--launcher is for --on slurm"),
        (["--sbatch", ""], "--sbatch is for --on slurm"),
        (["--sbatch-table", ""], "--sbatch-table is for --on slurm"),
        (["--on", "slurm", "--table"], "--on slurm makes the table, too: leave out --table"),
        (["--on", "slurm", "--only", "1"], "--on slurm runs all seeds: leave out --only"),
        (["--on", "slurm", "--cpus", "1"], "--cpus is for --on kubernetes"),
        (["--on", "kubernetes", "--sbatch=--gpus=1"], "--sbatch is for --on slurm"),
        (["--on", "slurm", "--sbatch=-p gpu --array=0-4"], "--sbatch: leave out --array: the sweep sets it"),
        (["--on", "slurm", "--sbatch=-Mall"], "--sbatch: leave out --clusters"),
        (["--on", "slurm", "--mode", "off"], "mode off seeds nothing"),
    ],
)
def test_wrong_use_is_told(seedbed, arguments: list[str], message: str) -> None:
    done = seedbed("sweep", *arguments, "--", "python", "train.py")
    assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (2, True, False)


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Follower, list[str]]:
    """Of three seeds, and what it says; nothing that it waits for comes later."""
    monkeypatch.setattr(follow, "SECONDS_FOR_A_FILE", 0)
    said: list[str] = []
    monkeypatch.setattr(follow.terminal, "log", lambda text, prefix="seedbed: ": said.append(text))
    made = batch(output=tmp_path / "sweep")
    made.folder.mkdir(parents=True)
    return Follower(made, "name", [43, 44]), said


def shows(monkeypatch: pytest.MonkeyPatch, *looks: list[Task] | client.SlurmError) -> None:
    """What the queue shows, one look after the other."""
    coming = iter(looks)

    def queue(_: str) -> list[Task]:
        found = next(coming)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(follow.client, "queue", queue)
    monkeypatch.setattr(Follower, "wait", lambda _: None)


def test_seeds_are_told_as_they_end_and_why_none_runs(follower, monkeypatch: pytest.MonkeyPatch) -> None:
    followed, said = follower
    first, second = Task("1", 1, "PENDING", "Priority"), Task("1", 2, "PENDING", "Priority")
    away, waiting = client.SlurmError("squeue: away"), Task("2", None, "PENDING", "Dependency")
    running, ended = Task("1", 1, "RUNNING", "None"), Task("1", 1, "COMPLETED", "None")
    (followed.batch.folder / "2.log").write_text("seedbed: seed 44: failed (status 1), see there\n")
    shows(
        monkeypatch,
        [first, second, waiting],
        [first, second, waiting],
        away,
        away,
        [running, second, waiting],
        [first, second, waiting],
        [ended, Task("1", 2, "FAILED", "NonZeroExitCode"), waiting],
        [],
        [],
    )
    assert followed.follow() == 1
    assert said == [
        "waiting in Slurm's queue: Priority",
        "squeue: away; waiting for it",
        "seed 43: starts again, because Slurm requeued it",
        "waiting in Slurm's queue: Priority",
        "seed 43: done (2 of 3)",
        "seed 44: failed (status 1), see there (3 of 3)",
        f"sweep: no table: its job has left none, see {followed.batch.folder}/table.log; give the same command again",
    ]


def test_what_slurm_has_ended_or_forgotten_is_told(follower, monkeypatch: pytest.MonkeyPatch) -> None:
    followed, said = follower
    (followed.batch.folder / "1.log").write_text("slurmstepd: error: DUE TO TIME LIMIT\n")
    cancelled = Task("2", None, "CANCELLED", "None")
    shows(monkeypatch, [Task("1", 1, "TIMEOUT", "TimeLimit"), cancelled], [cancelled])
    assert followed.follow() == 1
    folder = followed.batch.folder
    assert said[0] == f"seed 43: TIMEOUT, see {folder}/1.log: slurmstepd: error: DUE TO TIME LIMIT (2 of 3)"
    assert said[1] == f"seed 44: no result, see {folder}/2.log: it is empty (3 of 3)"
    assert said[2].startswith("sweep: no table: its job is CANCELLED")


@pytest.mark.parametrize("status, wanted", [("0", 0), ("1", 1), ("74", 74), ("x", 1)])
def test_the_table_is_passed_on_with_its_status(follower, capfd, monkeypatch, status: str, wanted: int) -> None:
    followed, said = follower
    for name, text in (("out", "a ± b\n"), ("err", "seedbed: note: c\n"), ("status", f"{status}\n")):
        (followed.batch.folder / f"table.{name}").write_text(text)
    shows(monkeypatch, [])
    assert followed.follow() == wanted
    assert (capfd.readouterr().out, said[2:]) == ("a ± b\n", ["seedbed: note: c"])


def test_what_decides_numbers_reaches_a_job_whatever_is_handed_on(monkeypatch) -> None:
    monkeypatch.setenv("SEEDBED_SAMPLERS", "mine")
    assert "SEEDBED_SAMPLERS=mine" in shlex.split(batch(launcher="launcher").scripts["seed.sh"])
    words = shlex.split(batch().scripts["seed.sh"])
    assert f"PATH={os.environ['PATH']}" in words and "-P" in words  # a module beside the script is not Seedbed's


@pytest.mark.parametrize(
    "said, jobs", [("", []), ("Welcome to the cluster\n12|1|RUNNING|None\n", ["12"]), ("odd|line|x\n", [])]
)
def test_only_lines_about_jobs_are_read(monkeypatch, said: str, jobs: list[str]) -> None:
    monkeypatch.setattr(client, "answer", lambda _: said)
    assert [task.job for task in client.queue("name")] == jobs


@pytest.mark.parametrize("said, job", [("12\n", "12"), ("Submitting to project x\n12;cluster\n", "12")])
def test_the_number_of_a_job_is_in_the_last_line_that_is_one(monkeypatch, said: str, job: str) -> None:
    monkeypatch.setattr(client, "answer", lambda _: said)
    assert client.submitted(["sbatch"]) == job


def test_without_a_number_nothing_was_submitted(monkeypatch) -> None:
    monkeypatch.setattr(client, "answer", lambda _: "slurm 22.05.8\n")
    with pytest.raises(client.SlurmError, match="expected the number of a job, found"):
        client.submitted(["sbatch", "--version"])


def test_an_output_that_slurm_cannot_write_to_and_threads_that_are_none_are_refused(monkeypatch) -> None:
    with pytest.raises(ValueError, match="backslash or a leading hyphen"):
        batch(output=Path("a\\b"))
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    with pytest.raises(ValueError, match="OMP_NUM_THREADS=4,2: expected a number"):
        batch()


def test_what_an_earlier_job_said_of_a_seed_is_not_told_of_one_that_slurm_ended(follower, monkeypatch) -> None:
    followed, said = follower
    (followed.batch.folder / "1.log").write_text("seedbed: seed 43: done\n")
    shows(monkeypatch, [Task("2", 1, "CANCELLED", "None")], [])
    followed.follow()
    assert said[0].startswith("seed 43: CANCELLED, see ")


def test_a_table_is_made_anew_if_a_run_is_newer_a_file_is_gone_or_an_image_was_used(tmp_path: Path) -> None:
    made = batch(output=tmp_path / "sweep")
    run = made.plan.run_folder(42) / "record" / "output.jsonl"
    for file in (run, made.plan.folder / "results.json", made.folder / scripts.STATUS):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for name, text in made.scripts.items():
        (made.folder / name).write_text(text)
    assert jobs.made(made)
    later = (made.folder / scripts.STATUS).stat().st_mtime_ns + 10**9
    os.utime(run, ns=(later, later))
    assert not jobs.made(made)
    os.utime(run, ns=(0, 0))
    (made.plan.folder / "results.json").unlink()
    assert not jobs.made(made)
    (made.plan.folder / "results.json").touch()
    in_image = batch(output=tmp_path / "sweep", launcher="launcher")
    for name, text in in_image.scripts.items():
        (made.folder / name).write_text(text)
    assert not jobs.made(in_image)
