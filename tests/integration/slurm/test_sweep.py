"""`seedbed sweep --on slurm` on a Slurm of two nodes, which is Debian's own."""

import json
import re
import signal
import time
from collections.abc import Callable

import pytest

from tests import cluster as kubernetes
from tests.integration.slurm.conftest import Shell

pytestmark = pytest.mark.long

SWEEP = ("seedbed", "sweep", "--seeds", "4")
COMMAND = ("--", "python", "train.py")


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.05)


def node_of(shell: Shell, seed: int) -> str | None:
    """Where a seed has begun last."""
    nodes = [line.split()[1] for line in shell.ran() if line.startswith(f"{seed} ")]
    return nodes[-1] if nodes else None


def numbers(shell: Shell) -> dict[str, str]:
    """Of the jobs, as far as they are submitted: tasks that begin before the second one take numbers from it."""
    return json.loads((shell.folder / "sweep/slurm/jobs.json").read_text())


@pytest.fixture
def here(shell: Shell) -> str:
    """What a local sweep prints; its files are in the folder `here`. `ran.txt` begins anew after it."""
    done = shell.run(*SWEEP, "--output", "here", *COMMAND)
    assert done.returncode == 0, done.stderr
    (shell.folder / "ran.txt").unlink()
    return done.stdout


def test_a_sweep_on_two_nodes_makes_the_table_of_a_local_one(shell, here):
    done = shell.run(*SWEEP, "--on", "slurm", *COMMAND)
    assert (done.returncode, done.stdout) == (0, here), done.stderr
    assert shell.results("sweep") == shell.results("here")
    assert {line.split()[1] for line in shell.ran()} == {"node1", "node2"}
    assert "seed 45: done (4 of 4)" in done.stderr

    again = shell.run(*SWEEP, "--on", "slurm", *COMMAND)
    assert (again.returncode, again.stdout, len(shell.ran())) == (0, here, 4)
    more = shell.run(*SWEEP, "--on", "slurm", "--metric", "epoch", "--json", *COMMAND)  # no seed has to run for that
    assert (more.returncode, list(json.loads(more.stdout)["metrics"]), len(shell.ran())) == (0, ["epoch"], 4)


def test_numbers_that_differ_by_a_little_are_seen_in_the_table(shell, here):
    done = shell.run(*SWEEP, "--on", "slurm", *COMMAND, OFF="1e-12")
    assert done.returncode == 0, done.stderr
    assert shell.results("sweep")["results.csv"] != shell.results("here")["results.csv"]


def test_words_reach_the_script_as_they_were_typed(shell):
    words = ["it's", 'a "b"', "$HOME `id` *", "two\nlines", "\\", "", "{seed}", "%a", "--only", "é"]
    (shell.folder / "train.py").write_text("import sys; print('loss', 1); print(ascii(sys.argv[1:]))")
    output = "a folder's %a $HOME"
    options = ("--pattern", r"(?:loss|it's) (\S+)", "--seeds", "1", "--output", output)
    done = shell.run("seedbed", "sweep", "--on", "slurm", *options, *COMMAND, *words)
    assert done.returncode == 0, done.stderr
    printed = (shell.folder / output / "seed-42/record/output.jsonl").read_text()
    assert json.dumps(ascii(["42" if word == "{seed}" else word for word in words])) in printed
    assert json.loads((shell.folder / output / "results.json").read_text())["command"] == [*COMMAND[1:], *words]
    assert "seed 42: done" in (shell.folder / output / "slurm/0.log").read_text()


def by_manifests(shell: Shell, output: str) -> str:
    """The table of the same sweep by the commands of pods of Kubernetes, the last pod first."""
    threads = str(json.loads(shell.results("here")["results.json"])["threads"])
    on = (
        "--on",
        "kubernetes",
        "--image",
        f"registry.example.org/x@sha256:{'1' * 64}",
        "--claim",
        "work",
        "--cpus",
        threads,
    )
    for part in ((), ("--table",)):
        manifest = shell.run(*SWEEP, *on, *part, "--output", output, *COMMAND).stdout
        for pod in reversed(kubernetes.started(manifest)):
            done = shell.run(*pod.words, **pod.variables)
            assert done.returncode == 0, done.stderr
    return done.stdout


def test_here_on_two_nodes_of_which_one_dies_and_by_pods_of_kubernetes_it_is_one_table(cluster, shell, here):
    (shell.folder / "wait-44").touch()
    with shell.started(*SWEEP, "--on", "slurm", *COMMAND) as sweep:
        until(lambda: node_of(shell, 44))
        died = node_of(shell, 44)
        cluster.kill_node(died)
        (shell.folder / "wait-44").unlink()
        out, errors = sweep.communicate(timeout=90)
    assert (sweep.returncode, out) == (0, here), errors
    assert node_of(shell, 44) not in (None, died)
    assert sorted(line.split()[0] for line in shell.ran()) == ["42", "43", "44", "44", "45"]
    assert "seed 44: starts again, because Slurm requeued it" in errors
    assert by_manifests(shell, "pods") == here
    assert shell.results("sweep") == shell.results("pods") == shell.results("here")


def test_without_whoever_submitted_it_a_sweep_goes_on_and_the_same_command_finds_it(cluster, shell, here):
    (shell.folder / "wait-44").touch()
    with shell.started(*SWEEP, "--on", "slurm", *COMMAND) as sweep:
        until(lambda: node_of(shell, 44) and "table" in numbers(shell))
    other = shell.run(*SWEEP, "--on", "slurm", "--metric", "epoch", *COMMAND)
    assert (other.returncode, "jobs with other options are in the queue" in other.stderr) == (2, True)

    with shell.started(*SWEEP, "--on", "slurm", *COMMAND) as sweep:
        following = "following job {seeds} and job {table}, submitted earlier".format(**numbers(shell))
        assert following in sweep.stderr.readline()
        sweep.send_signal(signal.SIGINT)
        assert "the jobs go on: give the same command again" in sweep.stderr.read()
    assert sweep.returncode == 130

    (shell.folder / "wait-44").unlink()
    until(lambda: not cluster.queue())
    assert shell.results("sweep") == shell.results("here")  # the cluster has made it
    last = shell.run(*SWEEP, "--on", "slurm", *COMMAND)
    assert (last.returncode, last.stdout, last.stderr.count("job")) == (0, here, 0)
    assert len(shell.ran()) == 4


def test_killed_between_its_two_jobs_a_sweep_gets_the_second_one_from_the_same_command(cluster, shell, here):
    (shell.folder / "wait-44").touch()
    with shell.started(*SWEEP, "--on", "slurm", *COMMAND) as sweep:
        until(lambda: node_of(shell, 44) and "table" in numbers(shell))
    first = numbers(shell)
    cluster.run("scancel", first["table"])
    until(lambda: len(cluster.queue()) == 1)
    with shell.started(*SWEEP, "--on", "slurm", *COMMAND) as sweep:
        said = sweep.stderr.readline()
        following = re.search(r"following job (\d+) and job (\d+), submitted earlier", said)
        assert following and following[1] == first["seeds"] and int(following[2]) > int(first["table"]), said
        (shell.folder / "wait-44").unlink()
        out, errors = sweep.communicate(timeout=90)
    assert (sweep.returncode, out) == (0, here), errors


def test_a_controller_that_is_away_is_waited_for(cluster, shell, here):
    (shell.folder / "wait-44").touch()
    with shell.started(*SWEEP, "--on", "slurm", *COMMAND) as sweep:
        until(lambda: node_of(shell, 44))
        cluster.stop_controller()
        away = shell.run(*SWEEP, "--on", "slurm", "--output", "other", *COMMAND)
        assert (away.returncode, away.stderr.count("\n")) == (2, 1), away.stderr
        assert "the cluster does not answer: try again later" in away.stderr
        until(lambda: "Unable to contact" in sweep.stderr.readline())
        (shell.folder / "wait-44").unlink()
        cluster.start_controller()
        out, errors = sweep.communicate(timeout=90)
    assert (sweep.returncode, out) == (0, here), errors
    assert shell.results("sweep") == shell.results("here")


def test_a_seed_that_fails_is_told_and_alone_submitted_again(shell, here):
    (shell.folder / "fail-43").touch()
    failed = shell.run(*SWEEP, "--on", "slurm", *COMMAND)
    assert failed.returncode == 1
    assert "seed 43: failed (status 1), see sweep/seed-43/record/; last lines: " in failed.stderr
    assert "no result for seed 43" in failed.stderr
    (shell.folder / "fail-43").unlink()
    mended = shell.run(*SWEEP, "--on", "slurm", *COMMAND)
    assert (mended.returncode, mended.stdout) == (0, here), mended.stderr
    assert ": 1 of 4 seeds, threads of each: 2" in mended.stderr
    assert sorted(line.split()[0] for line in shell.ran()) == ["42", "43", "43", "44", "45"]
    assert shell.results("sweep") == shell.results("here")


def test_what_slurm_ends_or_refuses_is_told_in_its_words(cluster, shell):
    refused = shell.run(*SWEEP, "--on", "slurm", "--sbatch=--partition=none", *COMMAND)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "sbatch: invalid partition specified: none; Batch job submission failed" in refused.stderr
    assert refused.stderr.endswith(": check --sbatch\n")
    large = shell.run(*SWEEP, "--on", "slurm", "--sbatch=-c 3", *COMMAND)
    assert "Requested node configuration is not available: no node has so much: ask for less" in large.stderr

    (shell.folder / "wait-43").touch()
    with shell.started(*SWEEP, "--on", "slurm", "--parallel", "1", *COMMAND) as sweep:
        until(lambda: node_of(shell, 43))
        running = [line.split()[1] for line in cluster.queue() if " RUNNING " in line]
        job = json.loads((shell.folder / "sweep/slurm/jobs.json").read_text())["seeds"]
        cluster.run("scancel", f"{job}_1")
        _, errors = sweep.communicate(timeout=90)
    assert (sweep.returncode, running) == (1, ["1"])  # one at a time
    assert "seed 43: CANCELLED, see sweep/slurm/1.log: " in errors
    assert "no result for seed 43" in errors
