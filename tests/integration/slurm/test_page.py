"""docs/slurm.md, command by command, on a Slurm of two nodes; and a training of one rank on each."""

import json
import os
import re
import shutil

import pytest

from builder import paths
from tests import pages

pytestmark = pytest.mark.long

PAGE = paths.ROOT / "docs" / "slurm.md"
TWO_RANKS = """
import os, random, socket, sys, time
rank, steps, place = int(os.environ["SLURM_PROCID"]), 20, f"{sys.argv[-1]}.socket"
if rank == 0:
    with socket.create_server(place, family=socket.AF_UNIX) as server:
        other, _ = server.accept()
else:
    other = socket.socket(socket.AF_UNIX)
    while other.connect_ex(place):
        time.sleep(0.05)
received, sent, weight = other.makefile("r"), other.makefile("w"), random.random()
data = [random.gauss(0, 1) for _ in range(2 * steps)][rank::2]
for value in data:
    gradient = weight - value
    print(gradient.hex(), file=sent, flush=True)
    weight -= 0.1 * (gradient + float.fromhex(received.readline())) / 2
print(rank, weight.hex())
"""
STAND_INS = {  # for the page's programs that Debian does not have; an image is another Python, and nothing is set in it
    "apptainer": 'case $1 in pull) touch "$2" ;; exec) shift 3; exec env -i PATH="$IMAGE" "$@" ;; esac',
    "enroot": 'touch "$3"',
    "podman": 'shift 9; exec env -i PATH="$IMAGE" "$@"',
    "srun": """case $1 in --container*) shift 3; set -- env -i PATH="$IMAGE" "$@" ;; esac; exec "$SRUN" "$@" """,
    "torchrun": 'for script; do :; done; exec python "$script"',
}


@pytest.mark.parametrize("cluster", [4], indirect=True)
def test_every_command_on_the_page_ends_well(cluster, shell, python, tmp_path):
    shutil.copytree(paths.ROOT / "runtime", shell.folder / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    (shell.folder / "train_ddp.py").write_text(TWO_RANKS)
    (tmp_path / "bin").mkdir()
    for name, text in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    variables = {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}/bin{os.pathsep}{cluster.variables['PATH']}",
        "IMAGE": f"{python}{os.pathsep}{os.environ['PATH']}",
        "SRUN": f"{cluster.programs}/commands/srun",
        "SEEDBED_REPOSITORY": "registry.example.org/team",
        "DIGEST": "sha256:0",
    }
    # The nodes have no GPU to give.
    commands = [re.sub("--gpus(-per-node)?=1", "--nice=0", command) for command in pages.commands(PAGE.read_text())]
    assert len(commands) > 12
    done = shell.run("sh", "-ex", "-c", "\n".join(commands), seconds=240, **variables)
    assert done.returncode == 0, done.stderr
    assert json.loads((shell.folder / "there/results.json").read_text())["threads"] == 4
    tables = {name: (shell.folder / name / "results.csv").read_bytes() for name in ("sweep", "here", "a", "e", "p")}
    assert len(set(tables.values())) == 1
    assert len(done.stdout.splitlines()[-1].split()) == 2  # a rank and its weight


def test_two_nodes_that_train_together_repeat(shell):
    (shell.folder / "two.py").write_text(TWO_RANKS)

    def trained(name: str, **variables: str) -> list[str]:
        done = shell.run("srun", "--nodes=2", "seedbed", "run", "--", "python", "two.py", name, **variables)
        assert done.returncode == 0, done.stderr
        return sorted(done.stdout.splitlines())

    first = trained("a")
    assert [line.split()[0] for line in first] == ["0", "1"]
    assert first[0].split()[1:] == first[1].split()[1:]  # both have all of it
    assert trained("b") == first
    assert trained("c", SEEDBED_SEED="7") != first
