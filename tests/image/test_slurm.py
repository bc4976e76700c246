"""A Slurm of two nodes whose jobs run in the PyTorch image: a sweep, and a training of one rank on each node."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder import paths
from builder.debian import archive as debian
from builder.engine.client import Engine
from tests import slurm
from tests.slurm import Cluster

# What a cluster's own container runtime does: the folder, the network and the user of the job.
IN_THE_IMAGE = "docker run --rm --network host --user 0:0 --volume {folder}:{folder} --workdir {folder} {image}"
SWEEP = ("--seeds", "3", "--metric", "loss", "--output")
COMMAND = ("--", "python", "digits_torch.py", "--epochs", "1")
RESULTS = ("results.csv", "results.json", "plots.html", "loss.svg")
TORCHRUN = (
    "torchrun --nnodes=2 --nproc-per-node=1 --node-rank=$SLURM_NODEID --master-addr=127.0.0.1 "
    "--master-port=$((20000 + SLURM_JOB_ID % 10000)) distributed.py"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := debian.host_supported():
        pytest.skip(f"no Slurm to be had here: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    with slurm.running(slurm.unpack(folder), folder / "cluster") as cluster:
        yield cluster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What all nodes share."""
    for name in ("digits.py", "digits.csv.gz", "record.py", "digits_torch.py"):
        shutil.copy(paths.ROOT / "examples" / name, tmp_path)
    shutil.copy(paths.ROOT / "images/pytorch/programs/distributed.py", tmp_path)
    return tmp_path


@pytest.fixture
def launcher(record_of, folder: Path) -> str:
    return IN_THE_IMAGE.format(folder=folder, image=record_of("pytorch").digest)


@pytest.fixture
def run(cluster: Cluster, docker: Engine, folder: Path) -> Callable[..., str]:
    """What a command on the login node prints; it has to succeed."""
    path = f"{cluster.programs}/commands{os.pathsep}{docker.environment['PATH']}"
    environ = {**docker.environment, **cluster.variables, "PATH": path, "PYTHONPATH": f"{paths.ROOT}/runtime"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_sweep_in_an_image_makes_the_table_of_a_local_one(run, launcher, folder):
    here = run(*launcher.split(), "env", "OMP_NUM_THREADS=1", "seedbed", "sweep", *SWEEP, "here", *COMMAND)
    options = ("--on", "slurm", "--sbatch=--cpus-per-task=1", "--launcher", launcher)
    there = run(sys.executable, "-m", "seedbed", "sweep", *options, *SWEEP, "there", *COMMAND)
    assert there == here
    for name in RESULTS:
        assert (folder / "there" / name).read_bytes() == (folder / "here" / name).read_bytes(), name


def test_a_training_of_two_nodes_in_an_image_repeats(run, launcher):
    def trained(seed: int) -> str:
        command = f"exec {launcher} env SEEDBED_SEED={seed} {TORCHRUN}"
        printed = run("srun", "--nodes=2", "--ntasks-per-node=1", "sh", "-c", command)
        return next(line for line in printed.splitlines() if line.startswith("parameters sha256: "))

    first = trained(1)
    assert trained(1) == first
    assert trained(2) != first
