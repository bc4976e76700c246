"""docs/compose.md, section by section: each service of compose.yaml is brought up, checked, and taken down."""

import csv
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from builder import paths
from builder.image.record import Record
from tests import pages, ports

PAGE = paths.ROOT / "docs" / "compose.md"
OWNER = 12345
DIGEST = re.compile(r"parameters sha256: ([0-9a-f]{64})")
TOKEN = re.compile(r"\?token=([0-9a-f]{48})\b")
CELLS = Path(__file__).with_name("jupyter_cells.py")


@dataclass
class Project:
    """A copy of what compose.yaml needs, in a folder of its own, whose results belong to nobody on this machine."""

    folder: Path
    results: Path
    environment: dict[str, str]
    ran: set[str] = field(default_factory=set)

    def sh(self, command: str, *, status: int = 0, script: str = "", **more: str) -> str:
        """What a command prints, on both streams; it has to end with that status."""
        environment = self.environment | more
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=environment,
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def section(self, title: str, **more: str) -> list[str]:
        """What each command of a section of the page prints."""
        (text,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        found = pages.commands(text)
        self.ran.update(found)
        return [self.sh(command, **more) for command in found]

    def trained(self, job: str) -> str:
        """The digest of the job's parameters, from a file that belongs to the owner of the results."""
        path = self.results / job / "result.json"
        assert (path.stat().st_uid, path.stat().st_gid) == (OWNER, OWNER)
        return json.loads(path.read_text())["parameters_sha256"]

    def left(self) -> str:
        """Containers, networks, volumes and images that carry the project's name."""
        name = self.environment["COMPOSE_PROJECT_NAME"]
        label = f"--filter label=com.docker.compose.project={name} --quiet"
        return self.sh(
            f"docker ps --all {label}; docker network ls {label}; docker volume ls {label}; docker images -q '{name}-*'"
        )


@pytest.fixture(scope="module")
def project(record_of, docker, tmp_path_factory) -> Iterator[Project]:
    """The images that were built; TensorFlow's by digest, as people should. Others are built on PyTorch's.

    BuildKit asks a registry for a base that is named by digest, and this one is in none.
    """
    pytorch = record_of("pytorch")
    assert docker.digest(pytorch.tags[-1]) == pytorch.digest
    folder = tmp_path_factory.mktemp("compose")
    for name in ("compose.yaml", ".env.example"):
        shutil.copy(paths.ROOT / name, folder)
    for name in ("examples", "images/pytorch/notebook"):
        shutil.copytree(paths.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    results = folder / "mine"
    results.mkdir()
    os.chown(results, OWNER, OWNER)
    folder.chmod(0o755)
    jupyter, tensorboard = ports.reserve(2)
    environment = {
        **docker.environment,
        "COMPOSE_PROJECT_NAME": f"seedbed-test-{os.getpid()}",
        "SEEDBED_PYTORCH": pytorch.tags[-1],
        "SEEDBED_TENSORFLOW": by_digest(record_of("tensorflow")),
        "SEEDBED_OUTPUTS": str(results),
        "SWEEP_SEEDS": "2",
        "JUPYTER_PORT": str(jupyter),
        "TENSORBOARD_PORT": str(tensorboard),
    }
    project = Project(folder, results, environment)
    yield project
    project.sh("docker compose --profile '*' down --volumes --rmi local")


def by_digest(built: Record) -> str:
    return f"{built.tags[0].rpartition(':')[0]}@{built.digest}"


def test_a_training_says_its_settings_and_leaves_its_results_to_the_owner_of_the_folder(project):
    said = project.section("Train")
    for log in said:
        assert "seedbed: seed 42, mode strict" in log
    for job, log in zip(("pytorch", "tensorflow", "mine"), said, strict=True):
        assert DIGEST.findall(log) == [project.trained(job)]
        with (project.results / job / "metrics.csv").open() as file:
            assert len(list(csv.DictReader(file))) == (2 if job == "mine" else 5)


def test_a_training_that_fails_fails_the_command(project):
    assert "KeyError" in project.sh("docker compose run --rm pytorch python -c '{}[1]'", status=1)
    project.sh("docker compose run --rm pytorch sh -c 'exit 7'", status=7)
    assert "expected strict, warn or off" in project.sh("docker compose run --rm pytorch", status=2, SEEDBED_MODE="x")


def test_up_without_a_name_starts_two_trainings_and_hides_that_they_fail(project):
    project.sh("docker compose up", SEEDBED_MODE="x")
    started = project.sh("docker compose --profile '*' ps --all --format '{{.Service}} {{.ExitCode}}'")
    assert sorted(started.splitlines()) == ["pytorch 2", "tensorflow 2"]
    project.sh("docker compose down")


def test_the_shell_and_env_set_the_seed_and_other_seeds_give_other_bits(project):
    _, said = project.section("Settings")
    assert "seedbed: seed 7, mode strict" in said
    assert project.trained("seven") != project.trained("mine")
    with (project.folder / ".env").open("a") as file:
        file.write("SEEDBED_SEED=8\n")
    assert "seedbed: seed 8" in project.sh("docker compose run --rm pytorch true")
    assert "seedbed: seed 9" in project.sh("docker compose run --rm pytorch true", SEEDBED_SEED="9")
    (project.folder / ".env").unlink()


def test_limits_hold_and_the_number_of_threads_follows(project):
    ask = "sh -c 'nproc; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; df -m /dev/shm'"
    limits = {"SEEDBED_CPUS": "1", "SEEDBED_MEMORY": "1g", "SEEDBED_SHM": "100mb"}
    said = project.sh(f"docker compose run --rm pytorch {ask} 2>&1 || true", **limits)
    assert "threads 1," in said and f"{1 << 30}\n" in said and " 100 " in said


def test_a_job_with_fewer_cpus_gives_the_same_bits_if_the_number_of_threads_stays(project):
    threads = len(os.sched_getaffinity(0))
    said = project.sh(
        f"docker compose run --rm -e OMP_NUM_THREADS={threads} pytorch python examples/digits_torch.py --epochs 2",
        SEEDBED_CPUS="1",
    )
    assert f"threads {threads}," in said
    assert DIGEST.findall(said) == [project.trained("mine")]


def test_a_job_sees_the_data_and_cannot_write_to_it(project, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers").write_text("1 2 3")
    tmp_path.chmod(0o755)
    data = {"SEEDBED_DATA": str(tmp_path / "data")}
    assert "1 2 3" in project.sh("docker compose run --rm pytorch cat /data/numbers", **data)
    assert "Read-only" in project.sh("docker compose run --rm pytorch touch /data/x", status=1, **data)


def test_a_folder_that_is_not_there_is_an_error_and_not_made(project):
    missing = project.folder / "missing"
    assert str(missing) in project.sh("docker compose run --rm pytorch", status=1, SEEDBED_OUTPUTS=str(missing))
    assert not missing.exists()


def test_the_distributed_trainings_repeat_and_other_seeds_give_other_bits(project):
    jobs = ("distributed-pytorch", "distributed-tensorflow")
    runs = []
    for seed in ("42", "42", "43"):
        said = project.section("Distributed", SEEDBED_SEED=seed)
        digests = tuple(project.trained(job) for job in jobs)
        assert tuple({*DIGEST.findall(log)} for log in said) == tuple({digest} for digest in digests)
        runs.append(digests)
    first, again, other = runs
    assert first == again
    assert first[0] != other[0] and first[1] != other[1]


LOST = """
services:
  distributed-tensorflow:
    command: python examples/distributed_tensorflow.py --epochs 100000
  distributed-tensorflow-2:
    command:
      - sh
      - -c
      - python examples/distributed_tensorflow.py --epochs 100000 | { grep --max-count 1 ^epoch; pkill -KILL python; }
"""


def test_a_distributed_training_fails_if_one_of_its_ranks_does(project):
    kill = """if [ "$RANK" = 1 ]; then exit 3; else exec sleep 100; fi"""
    ranks = f"torchrun --standalone --nproc-per-node 2 --no-python sh -c '{kill}'"
    project.sh(f"docker compose run --rm distributed-pytorch {ranks}", status=1)
    (project.folder / "lost.yaml").write_text(LOST)
    files = "--file compose.yaml --file lost.yaml"
    said = project.sh(
        f"docker compose {files} up --exit-code-from distributed-tensorflow distributed-tensorflow", status=1
    )
    assert "epoch 1" in said


def test_gpu_services_ask_for_all_gpus_and_are_else_as_those_on_the_cpu(project):
    config = "docker compose --profile more --profile gpu config --format json"
    services = json.loads(project.sh(config))["services"]
    of_gpus = {name for name in services if name.endswith("-gpu")}
    assert len(of_gpus) > 5
    for name, service in services.items():
        devices = service.pop("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert devices == [{"driver": "nvidia", "count": -1, "capabilities": ["gpu"]}] * (name in of_gpus)
        service["profiles"] = service["command"] = None
    assert all(services[name] == services[name.removesuffix("-gpu")] for name in of_gpus)


def test_a_sweep_makes_its_table_and_a_training_is_verified(project):
    table, verdict = project.section("Sweep and verify")
    assert re.search(r"accuracy 0\.\d+ ± \S+ \(mean ± sample std of 2 seeds", table)
    with (project.results / "sweep" / "results.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["42", "43"]
    assert (project.results / "sweep" / "plots.html").stat().st_uid == OWNER
    assert re.search(r"^EQUAL: 3 runs, .* 1 file by sha256", verdict, re.MULTILINE)
    assert project.trained("verify") not in ("", project.trained("mine"))


def answer(url: str, token: str = "") -> object:
    headers = {"Authorization": f"token {token}"} if token else {}
    with urlopen(Request(url, headers=headers), timeout=30) as answer:
        return json.load(answer)


def test_jupyter_and_tensorboard_are_up_and_notebooks_repeat(project):
    _, log, _ = project.section("Jupyter and TensorBoard")
    jupyter = f"http://127.0.0.1:{project.environment['JUPYTER_PORT']}"
    token = TOKEN.findall(log)[0]
    assert f"{jupyter}/lab?token={token}" in log
    assert any(entry["name"] == "examples" for entry in answer(f"{jupyter}/api/contents", token)["content"])
    for wrong in ("", "0" * 48):
        with pytest.raises(HTTPError, match="403"):
            answer(f"{jupyter}/api/contents", wrong)

    notebook = project.results / "executed" / "digits_torch.ipynb"
    assert notebook.stat().st_uid == OWNER
    digests = DIGEST.findall(notebook.read_text())
    for _ in range(2):  # in kernels of the same server
        command = f"docker compose exec -T jupyter python - {token} examples/digits_torch.ipynb"
        digests += DIGEST.findall(project.sh(command, script=CELLS.read_text()))
    assert len(digests) == 3 and len({*digests}) == 1

    written = {f"notebook/{folder.name}" for folder in (project.results / "notebook").iterdir()}
    assert len(written) == 3
    tensorboard = f"http://127.0.0.1:{project.environment['TENSORBOARD_PORT']}/data/runs"
    for _ in range(60):
        if written <= {*answer(tensorboard)}:
            break
        time.sleep(1)
    assert written <= {*answer(tensorboard)}


def test_ports_are_open_on_this_machine_only_and_the_token_is_another_each_time(project):
    published = project.sh("docker compose ps --format '{{.Ports}}'")
    assert re.findall(r"([\d.]+|\[::\]):\d+->", published) == ["127.0.0.1"] * 2
    before = TOKEN.findall(project.sh("docker compose logs jupyter"))
    project.sh("docker compose restart jupyter && docker compose up --detach --wait jupyter")
    assert len({*before, *TOKEN.findall(project.sh("docker compose logs jupyter"))}) == 2
    project.sh("docker compose up --detach --wait jupyter", JUPYTER_TOKEN="mine")
    assert answer(f"http://127.0.0.1:{project.environment['JUPYTER_PORT']}/api/contents", "mine")


def test_nothing_is_left_when_all_is_down(project):
    assert project.left() != ""  # the negative control
    project.section("Take all down")
    assert project.left() == ""


def test_these_are_all_commands_of_the_page(project):
    assert project.ran == {*pages.commands(PAGE.read_text())}
