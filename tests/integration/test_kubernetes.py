"""docs/kubernetes.md, command by command, with the real kubectl and an API server of the tests' own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from builder import paths
from tests import apiserver, pages
from tests.cluster import Started
from tests.unit.runtime.conftest import environ, python  # noqa: F401 - fixtures

PAGE = paths.ROOT / "docs" / "kubernetes.md"
IMAGE = f"registry.example.org/team/pytorch@sha256:{'a1' * 32}"
TRAINING = "import random\nfor _ in range(3): print('loss', random.random())\n"
RESULTS = ("results.csv", "results.json", "plots.html", "loss.svg")
PLACEHOLDERS = {  # for what needs a container, or torch
    "kubectl": '#!/bin/sh\n[ "$1" != cp ] || exec cp "$2" "$WORKSPACE/${3#*:/workspace/}"\nexec "$KUBECTL" "$@"\n',
    "sleep": "#!/bin/sh\n",
    "torchrun": '#!/bin/sh\necho "node $PET_NODE_RANK of $PET_NNODES, first is $PET_MASTER_ADDR, runs $*"\n',
    "seedbed": '#!/bin/sh\nexec python -m seedbed "$@"\n',
}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]


class User:
    """Somebody at a shell, in a folder with `train.py`, and a cluster whose pods share another folder."""

    def __init__(self, folder: Path, python: Path, environ: dict[str, str]) -> None:  # noqa: F811
        self.folder, self.workspace, programs = (folder / name for name in ("here", "workspace", "programs"))
        for each in (self.folder, self.workspace, programs):
            each.mkdir()
        for name, text in PLACEHOLDERS.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (self.folder / "train.py").write_text(TRAINING)
        path = os.pathsep.join([str(programs), str(python.parent), environ["PATH"]])
        own = {"HOME": str(folder), "KUBECONFIG": str(folder / "config"), "KUBECTL": shutil.which("kubectl")}
        self.environ = environ | own | {"PATH": path, "WORKSPACE": str(self.workspace), "IMAGE": IMAGE}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        bash = ["bash", "-o", "pipefail", "-c", command]
        return subprocess.run(bash, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=300)

    def run_pod(self, pod: Started) -> tuple[int, str]:
        given = {"PATH": self.environ["PATH"], "PYTHONHASHSEED": "42"} | pod.variables
        done = subprocess.run(pod.words, cwd=self.workspace, env=given, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def user(tmp_path, python, environ) -> Iterator[User]:  # noqa: F811
    made = User(tmp_path, python, environ)
    with apiserver.serving(made.run_pod) as config:
        (tmp_path / "config").write_text(config)
        yield made


def test_every_command_on_the_page_ends_well_and_the_table_is_that_of_a_sweep_on_one_machine(user):
    for name, text in zip(("claim.yaml", "kustomization.yaml"), pages.blocks(PAGE.read_text(), "yaml"), strict=True):
        (user.folder / name).write_text(text)
    said = {}
    for command in pages.commands(PAGE.read_text()):
        done = user.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        said[command] = done.stdout
    assert len(said) > 15
    assert (user.workspace / "train.py").read_text() == TRAINING
    whole = user.run("OMP_NUM_THREADS=4 seedbed sweep --seeds 5 -- python train.py")
    assert whole.returncode == 0, whole.stderr
    assert said["kubectl logs job/sweep-table"].startswith(whole.stdout)
    for name in RESULTS:
        assert (user.workspace / "sweep" / name).read_bytes() == (user.folder / "sweep" / name).read_bytes(), name
    nodes = said["kubectl logs --selector job-name=train --prefix --tail=-1"]
    for node in range(2):
        assert f"node {node} of 2, first is train-0.train, runs train.py" in nodes
    on_one_kind = yaml.safe_load((user.folder / "on-one-kind.yaml").read_text())
    assert on_one_kind["spec"]["template"]["spec"]["nodeSelector"] == {
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": "m7i.xlarge",
    }


def test_a_seed_that_fails_is_tried_again_and_others_go_on(user):
    """The script fails the first three times under seed 43; then the same Job, run again, trains what is missing."""
    fails = "import os\nif os.environ['SEEDBED_SEED'] == '43':\n    with open('tries', 'a') as file: file.write('x')\n"
    fails += "    assert os.path.getsize('tries') > 3\n"
    (user.workspace / "train.py").write_text(fails + TRAINING)
    sweep = 'seedbed sweep --on kubernetes --image "$IMAGE" --claim work --seeds 3 '
    for command in (
        f"{sweep} -- python train.py > sweep.yaml",
        "kubectl apply -f sweep.yaml",
        "kubectl wait --for=condition=failed job/sweep --timeout=1m",
        f"{sweep} --table -- python train.py > table.yaml",
        "kubectl apply -f table.yaml",
        "kubectl wait --for=condition=failed job/sweep-table --timeout=1m",
    ):
        done = user.run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    table = user.run("kubectl logs job/sweep-table").stdout
    assert "\n      42 " in table and "\n      44 " in table and "\n      43 " not in table
    assert "seed 43: failed (status 1)" in table
    for file, job in (("sweep.yaml", "sweep"), ("table.yaml", "sweep-table")):
        done = user.run(f"kubectl replace --force -f {file} && kubectl wait --for=condition=complete job/{job}")
        assert done.returncode == 0, done.stderr
    assert "\n      43 " in user.run("kubectl logs job/sweep-table").stdout
    assert (user.workspace / "tries").read_text() == "xxxx"


def test_control_the_api_server_refuses_a_misspelt_key(user):
    user.run('seedbed sweep --on kubernetes --image "$IMAGE" --claim work -- python train.py > sweep.yaml')
    assert user.run("kubectl apply -f sweep.yaml").returncode == 0
    refused = user.run("sed 's/parallelism/paralelism/; s/name: .sweep./name: other/' sweep.yaml | kubectl apply -f -")
    assert refused.returncode == 1 and "'paralelism' was unexpected" in refused.stderr
