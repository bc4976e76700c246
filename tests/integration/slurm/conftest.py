"""A Slurm of two nodes, and a user's shell on its login node."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder import files
from builder.debian import archive as debian
from tests import pythons, slurm
from tests.slurm import Cluster

TRAINING = """
import os, random, time
from pathlib import Path
seed = os.environ["SEEDBED_SEED"]
with open("ran.txt", "a") as file: file.write(f"{seed} {os.environ.get('SLURMD_NODENAME')}\\n")
print("epoch 1: loss", random.random(), flush=True)
while Path(f"wait-{seed}").exists(): time.sleep(0.05)
assert not Path(f"fail-{seed}").exists(), "no luck"
print("epoch 2: loss", random.random() + float(os.environ.get("OFF", 0)))
"""

RESULTS = ("results.csv", "results.json", "plots.html", "loss.svg")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := debian.host_supported():
        pytest.skip(f"no Slurm to be had here: {reason}")
    ours = tmp_path_factory.getbasetemp()
    shared = (ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours) / "slurm"
    with files.locked(shared.with_suffix(".lock")):
        return slurm.unpack(shared)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install ./runtime` leaves on the shared disk of a cluster."""
    home = tmp_path_factory.mktemp("python")
    pythons.with_runtime(home)
    (home / "bin/seedbed").write_text(f"#!{home}/bin/python\nfrom seedbed.cli import main\nraise SystemExit(main())\n")
    (home / "bin/seedbed").chmod(0o755)
    return home / "bin"


@pytest.fixture
def cluster(programs: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with slurm.running(programs, tmp_path / "cluster", getattr(request, "param", 2)) as cluster:
        yield cluster


class Shell:
    """A user's, on the login node, in a folder that all nodes share."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, environ
        folder.mkdir()
        (folder / "train.py").write_text(TRAINING)

    @contextmanager
    def started(self, *command: str, **variables: str) -> Iterator[subprocess.Popen]:
        pipe = subprocess.PIPE
        environ = self.environ | variables
        with subprocess.Popen(command, cwd=self.folder, env=environ, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *command: str, seconds: int = 90, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.started(*command, **variables) as process:
            out, errors = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(command, process.returncode, out, errors)

    def ran(self) -> list[str]:
        """A seed and its node for each training that has begun."""
        file = self.folder / "ran.txt"
        return file.read_text().splitlines() if file.exists() else []

    def results(self, output: str) -> dict[str, bytes]:
        return {name: (self.folder / output / name).read_bytes() for name in RESULTS}


@pytest.fixture
def shell(cluster: Cluster, python: Path, tmp_path: Path) -> Shell:
    ours = ("SEEDBED_", "PYTHON", "OMP_", "CUBLAS_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | cluster.variables
    environ["PATH"] = f"{python}{os.pathsep}{environ['PATH']}"
    return Shell(tmp_path / "work", environ)
