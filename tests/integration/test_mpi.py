"""Ranks that the real mpirun starts: Open MPI of Debian, unpacked and not installed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import paths
from builder.debian import archive
from tests import debian

pytestmark = pytest.mark.long

LIBRARIES = "usr/lib/x86_64-linux-gnu"
FOLDERS = (LIBRARIES, "lib/x86_64-linux-gnu", f"{LIBRARIES}/openmpi/lib", f"{LIBRARIES}/pmix2/lib")
DRAW = "import os, random; print(os.environ['OMPI_COMM_WORLD_RANK'], random.random())"
Mpirun = Callable[..., list[str]]


@pytest.fixture(scope="module")
def openmpi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, freshly fetched."""
    if reason := archive.host_supported():
        pytest.skip(f"no Open MPI to be had here: {reason}")
    return debian.unpacked(["openmpi-bin"], tmp_path_factory.mktemp("openmpi"))


@pytest.fixture
def mpirun(openmpi: Path, tmp_path: Path) -> Mpirun:
    """The lines that two ranks print, sorted. They run Python with the startup hook, in the test's folder."""
    modules = {
        "OMPI_MCA_mca_base_component_path": openmpi / LIBRARIES / "openmpi/lib/openmpi3",
        "PMIX_MCA_mca_base_component_path": openmpi / LIBRARIES / "pmix2/lib/pmix",
    }
    places = {"OPAL_PREFIX": openmpi / "usr", "PMIX_INSTALL_PREFIX": openmpi / "usr", **modules}
    environ = {
        **os.environ,
        **{name: str(place) for name, place in places.items()},
        "LD_LIBRARY_PATH": ":".join(str(openmpi / folder) for folder in FOLDERS),
        "PYTHONPATH": str(paths.ROOT / "runtime"),
        "PYTHONHASHSEED": "42",
        "PYTHONUNBUFFERED": "",  # the ranks share a pipe: a line has to be one write
    }
    start = [openmpi / "usr/bin/orterun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
    own = ["env", "--unset=LD_LIBRARY_PATH", sys.executable]

    def mpirun(*arguments: str, **variables: str) -> list[str]:
        command = [*start, *own, *arguments]
        done = subprocess.run(command, env=environ | variables, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.splitlines())

    return mpirun


@pytest.mark.long
def test_every_rank_has_the_same_seed_or_one_each(mpirun: Mpirun) -> None:
    same, own = ([line.split() for line in mpirun("-c", DRAW, **more)] for more in ({}, {"SEEDBED_RANK_OFFSET": "1"}))
    assert [rank for rank, _ in same] == [rank for rank, _ in own] == ["0", "1"]
    assert same[0][1] == same[1][1] == own[0][1] != own[1][1]
    assert own[1][1] == mpirun("-c", DRAW, SEEDBED_SEED="43")[0].split()[1]


@pytest.mark.long
def test_ranks_write_one_record(mpirun: Mpirun, tmp_path: Path) -> None:
    mpirun("-m", "seedbed", "run", "--record", "r", "--", sys.executable, "-c", DRAW)
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == ["output.jsonl", "output1.jsonl"]
    assert '"ranks": 2' in (tmp_path / "r" / "output.jsonl").read_text()
