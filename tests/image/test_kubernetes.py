"""Manifests of `--on kubernetes` in the PyTorch image: each pod as a container with the pod's own security context.

There is no cluster here: Docker starts what Kubernetes would (tests/cluster.py), and one of Docker's networks has the
names of the headless Service.
"""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from seedbed import cli
from seedbed.commands import on_kubernetes

from builder import paths
from builder.outcomes import Finished
from tests import cluster
from tests.cluster import Started

EVERYBODY = {"sweep": "23456:34567", "training": "1000:1000"}  # the first is in no image
SCRIPT = b"""
import torch
torch.nn.functional.dropout(torch.ones(9), 0.5)
layer = torch.nn.Linear(512, 512)
optimizer = torch.optim.Adam(layer.parameters())
for _ in range(5):
    loss = layer(torch.randn(64, 512)).square().mean()
    optimizer.zero_grad(), loss.backward(), optimizer.step()
    print("loss", loss.item())
"""
COMPARE = (
    "for file in results.csv results.json plots.html loss.svg loss.png; do cmp sweep/$file whole/$file || exit; done"
)


@pytest.fixture
def volume(docker) -> Iterator[str]:
    """In place of a PersistentVolumeClaim. It gets the mode of the image's working folder: everybody may write."""
    made = docker.client.volumes.create()
    yield made.name
    made.remove(force=True)


@pytest.fixture
def network(docker) -> Iterator[Any]:
    made = docker.client.networks.create(f"seedbed-tests-{secrets.token_hex(4)}")
    yield made
    made.remove()


@pytest.fixture
def image(record_of) -> str:
    return record_of("pytorch").digest


@pytest.fixture
def written(image, capsys) -> Callable[..., str]:
    def written(command: str, *arguments: str) -> str:
        given = [
            "--on",
            "kubernetes",
            "--image",
            f"pytorch@{image}",
            "--claim",
            "work",
            "--cpus",
            "1",
            "--memory",
            "2Gi",
        ]
        assert cli.run([command, *given, *arguments]) == 0
        return capsys.readouterr().out

    return written


def given(image: str) -> list[str]:
    return ["--on", "kubernetes", "--image", f"pytorch@{image}", "--claim", "work", "--cpus", "1", "--memory", "2Gi"]


def as_in(pod: Started, volume: str) -> dict[str, Any]:
    """The pod's own settings, in Docker's words."""
    of_pod, own = pod.pod["securityContext"], pod.container["securityContext"]
    paths_of = {mount["name"]: mount["mountPath"] for mount in pod.container["volumeMounts"]}
    empty = {each["name"]: each["emptyDir"] for each in pod.pod["volumes"] if "emptyDir" in each}
    [shared] = [each["sizeLimit"].removesuffix("i") for each in empty.values() if each.get("medium") == "Memory"]
    assert own["allowPrivilegeEscalation"] is False
    return {
        "user": f"{of_pod['runAsUser']}:{of_pod['runAsGroup']}",
        "group_add": [str(of_pod["fsGroup"])],
        "security_opt": ["no-new-privileges"],
        "cap_drop": own["capabilities"]["drop"],
        "read_only": own["readOnlyRootFilesystem"],
        "tmpfs": {paths_of[name]: "exec,mode=1777" for name, settings in empty.items() if not settings},
        "shm_size": shared,
        "volumes": {volume: {"bind": paths_of["workspace"], "mode": "rw"}},
        "nano_cpus": int(pod.container["resources"]["limits"]["cpu"]) * 10**9,
        "mem_limit": pod.container["resources"]["limits"]["memory"].removesuffix("i"),
        "working_dir": pod.container["workingDir"],
        "environment": pod.variables,
        "hostname": pod.host,
    }


def test_a_sweep_by_the_pods_of_its_job_has_the_bytes_of_a_sweep_on_one_machine(docker, image, written, volume):
    """By a user whom the image does not know, two at a time, the last seed first."""
    mounted = {volume: {"bind": "/workspace", "mode": "rw"}}
    docker.run(image, ["true"], volumes=mounted, files={"/workspace/train.py": SCRIPT})
    options = ("--seeds", "3", "--user", EVERYBODY["sweep"])

    def run(pod: Started) -> Finished:
        return docker.run(image, pod.words, **as_in(pod, volume))

    with ThreadPoolExecutor(2) as pool:
        done = [*pool.map(run, reversed(cluster.started(written("sweep", *options, "--", "python", "train.py"))))]
    assert [each.status for each in done] == [0, 0, 0], done
    [table] = cluster.started(written("sweep", *options, "--table", "--", "python", "train.py"))
    shown = run(table)
    assert shown.status == 0, shown.stderr

    here = {"user": EVERYBODY["sweep"], "volumes": mounted, "environment": {"OMP_NUM_THREADS": "1"}}
    sweep = ["seedbed", "sweep", "--seeds", "3", "--output", "whole", "--", "python", "train.py"]
    whole = docker.run(image, sweep, **here)
    assert (whole.status, whole.stdout) == (0, shown.stdout)
    compared = docker.run(image, ["sh", "-c", COMPARE], **here)
    assert compared.status == 0, compared.stdout + compared.stderr


def test_the_image_itself_writes_the_same_manifest(docker, image, written):
    there = docker.run(image, ["seedbed", "sweep", *given(image), "--", "python", "train.py"])
    assert (there.status, there.stdout) == (0, written("sweep", "--", "python", "train.py")), there.stderr


def test_docker_shows_the_names_by_digest_as_the_error_says(docker, image):
    shown = docker.docker("image", "inspect", "--format", '{{join .RepoDigests " "}}', image)
    assert shown.returncode == 0, shown.stderr
    assert all(on_kubernetes.by_digest(name) for name in shown.stdout.split()), "none: it is in no registry"


def test_a_training_on_two_nodes_repeats_and_differs_under_another_seed(docker, image, written, volume, network):
    """Both pods of the Job as containers, under the names of the headless Service."""
    program, examples = paths.IMAGES / "pytorch" / "programs" / "distributed.py", paths.ROOT / "examples"
    files = {f"/workspace/{name}": examples / name for name in ("digits.py", "digits.csv.gz", "record.py")}
    files["/workspace/distributed.py"] = program
    docker.run(image, ["true"], volumes={volume: {"bind": "/workspace", "mode": "rw"}}, files=files)

    def train(seed: str) -> str:
        options = ("--nodes", "2", "--seed", seed, "--user", EVERYBODY["training"])
        pods = cluster.started(written("run", *options, "--", "torchrun", "distributed.py"))
        with ExitStack() as containers:
            running = []
            for pod in reversed(pods):  # the first node may come last
                names = docker.client.api.create_endpoint_config(aliases=[f"{pod.host}.{pod.pod['subdomain']}"])
                joined = {"network": network.name, "networking_config": {network.name: names}}
                started = docker.started(image, pod.words, **as_in(pod, volume), **joined)
                running.append(containers.enter_context(started))
            ended = [each.finish(limit=300) for each in running]
        assert [each.status for each in ended] == [0, 0], [each.stderr for each in ended]
        assert not ended[0].stdout, "only rank 0, on the first node, says what came out"
        return ended[1].stdout

    first = train("42")
    assert first.startswith("parameters sha256: ")
    assert train("42") == first != train("7")
