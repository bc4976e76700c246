"""`--on kubernetes`: manifests that a cluster takes, and that run what was typed, whatever the node."""

import os
import re
import shutil
from pathlib import Path
from subprocess import DEVNULL, Popen

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from seedbed import cli, kubernetes

from tests import cluster

IMAGE = f"registry.example.org/team/pytorch@sha256:{'a1' * 32}"
GIVEN = ("--on", "kubernetes", "--image", IMAGE, "--claim", "work")
SWEEP = ("sweep", *GIVEN, "--seeds", "3", "--cpus", "2")
TRAINING = ("run", *GIVEN, "--nodes", "2", "--gpus", "2")
KINDS = {
    "sweep": (*SWEEP, "--", "python", "train.py"),
    "table": (*SWEEP, "--table", "--", "python", "train.py"),
    "training": (*TRAINING, "--", "torchrun", "train.py"),
    "one node": ("run", *GIVEN, "--seed", "7", "--", "python", "train.py"),
}
RESULTS = ("results.csv", "results.json", "plots.html", "loss.svg")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SEEDBED_", "OMP_"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def written(capsys):
    """What the command prints; it has to succeed, and to say nothing else."""

    def written(*arguments: str) -> str:
        assert cli.run([*arguments]) == 0
        out, error = capsys.readouterr()
        assert error == ""
        return out

    return written


# ---- what a cluster takes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.29", "1.37"])  # the oldest that has all of it by default, and the newest
@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_follows_the_schemas_of_kubernetes(written, kind, version):
    for document in cluster.documents(written(*KINDS[kind])):
        assert cluster.refused(document, version) == ""


@pytest.mark.parametrize(
    "key", ["backoffLimitPerIndex", "parallelism", "readOnlyRootFilesystem", "claimName", "sizeLimit", "seccompProfile"]
)
def test_control_a_misspelt_key_is_refused(written, key):
    text = written(*KINDS["sweep"])
    assert f"{key}:" in text
    misspelt = yaml.safe_load(text.replace(f"{key}:", f"{key.title()}:"))
    assert re.search(f"'{key.title()}' was unexpected|'{key}' is a required", cluster.refused(misspelt, "1.37"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_keeps_to_the_pod_security_standard_restricted(written, kind):
    for pod in cluster.started(written(*KINDS[kind])):
        assert cluster.beyond_restricted(pod.pod) == []
        assert pod.container["securityContext"]["readOnlyRootFilesystem"] is True, "more than it demands"
        assert pod.pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("before", "after", "control"),
    [
        ("runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"),
        ("runAsUser: 1000", "runAsUser: 0", "runAsUser"),
        ("type: RuntimeDefault", "type: Unconfined", "seccompProfile"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"),
        ("drop: [ALL]", "drop: [CHOWN]", "capabilities.drop"),
        ("drop: [ALL]", "drop: [ALL]\n              add: [SYS_ADMIN]", "capabilities.add"),
        (
            "allowPrivilegeEscalation: false",
            "allowPrivilegeEscalation: false\n            privileged: true",
            "privileged",
        ),
        ("emptyDir: {}", "hostPath: {path: /}", "hostPath"),
        ("restartPolicy: Never", "hostNetwork: true", "hostNetwork"),
    ],
)
def test_control_less_than_restricted_is_seen(written, before, after, control):
    text = written(*KINDS["sweep"])
    assert before in text
    assert {*cluster.beyond_restricted(cluster.started(text.replace(before, after))[0].pod)} == {control}


def test_every_folder_that_is_mounted_is_a_volume_and_the_rest_of_the_file_system_is_read_only(written):
    pod = cluster.started(written(*KINDS["training"]))[0]
    mounted = {mount["name"]: mount["mountPath"] for mount in pod.container["volumeMounts"]}
    assert mounted == {"workspace": "/workspace", "tmp": "/tmp", "shm": "/dev/shm"}
    assert {volume.pop("name"): volume for volume in pod.pod["volumes"]} == {
        "workspace": {"persistentVolumeClaim": {"claimName": "work"}},
        "tmp": {"emptyDir": {}},
        "shm": {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    }


@pytest.mark.parametrize("name", ["on", "null", "no", "y"])
def test_a_name_that_is_no_string_in_yaml_is_one_in_a_manifest(written, name):
    run = written("run", *GIVEN, "--nodes", "2", "--name", name, "--", "torchrun", "train.py")
    for document in (*cluster.documents(run), *cluster.documents(written(*SWEEP, "--output", name, "--", "python"))):
        assert document["metadata"]["name"] == name


@pytest.mark.parametrize("text", ["sweep", "runs/Adam lr=0.1", "2026-11", "ä", "a" * 200, "-x-", f"{'a' * 51}-b"])
def test_names_are_what_jobs_services_and_host_names_may_be_called(text):
    name = kubernetes.label(text)
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name)
    assert len(f"{name}-99999") <= 63 and len(f"{name}-table-0") <= 63


# ---- what runs -----------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20), min_size=1, max_size=5
    )
)
def test_words_arrive_as_they_were_typed(words):
    variables = {"X": "${HOME} $(X) $$"}
    job = kubernetes.Job("x", [*map(kubernetes.literal, words)], variables={"X": kubernetes.literal(variables["X"])})
    [pod] = cluster.started(kubernetes.manifest(job, kubernetes.Pod(IMAGE, "work")))
    assert pod.words == words
    assert pod.variables["X"] == variables["X"]


@pytest.mark.parametrize("word", ["$(JOB_COMPLETION_INDEX)", "$$(JOB_COMPLETION_INDEX)", "$$", "a$$b"])
def test_control_as_it_is_a_word_would_be_another_one(word):
    job = kubernetes.Job("x", [word, kubernetes.literal(word)])
    [pod] = cluster.started(kubernetes.manifest(job, kubernetes.Pod(IMAGE, "work")))
    assert pod.words[0] != word == pod.words[1]


def test_a_pod_computes_with_as_many_threads_as_it_has_cpus_and_its_requests_are_its_limits(written):
    for kind, cpus, gpus in (("sweep", "2", {}), ("training", "4", {"nvidia.com/gpu": "2"})):
        for pod in cluster.started(written(*KINDS[kind])):
            resources = {"cpu": cpus, "memory": "8Gi"} | gpus
            assert pod.container["resources"] == {"requests": resources, "limits": resources}
            assert pod.variables["OMP_NUM_THREADS"] == cpus


def test_a_pod_without_gpus_sees_none_on_a_node_that_has_some(written):
    assert cluster.started(written(*KINDS["sweep"]))[0].variables["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in cluster.started(written(*KINDS["training"]))[0].variables


def test_a_manifest_is_the_same_on_every_machine_that_writes_it(written, monkeypatch):
    here = written(*KINDS["sweep"])
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("PATH", "/nowhere")
    assert written(*KINDS["sweep"]) == here


def test_what_is_set_of_seedbeds_own_goes_along_and_the_defaults_are_written_out(written, monkeypatch):
    [pod] = cluster.started(written(*KINDS["one node"]))
    assert (pod.variables["SEEDBED_SEED"], pod.variables["SEEDBED_MODE"]) == ("7", "strict")
    monkeypatch.setenv("SEEDBED_MODE", "warn")
    monkeypatch.setenv("SEEDBED_NAMERS", "mine")
    pod = cluster.started(written(*KINDS["sweep"]))[0]
    assert [pod.variables[f"SEEDBED_{name}"] for name in ("SEED", "MODE", "NAMERS")] == ["42", "warn", "mine"]


def test_options_of_the_commands_go_along(written):
    sweep = (*SWEEP, "--metric", "a", "--metric=-b", "--file", "{folder}/x.json", "--output", "runs/$(x)")
    pods = cluster.started(written(*sweep, "--", "python"))
    options = ["--seeds=3", "--output=runs/$(x)", "--metric=a", "--metric=-b", "--file={folder}/x.json"]
    assert [pod.words for pod in pods] == [
        ["seedbed", "sweep", *options, "--only", str(index), "--", "python"] for index in range(3)
    ]
    [run] = cluster.started(written("run", *GIVEN, "--audit", "--record", "r", "--portable", "--", "python"))
    assert run.words == ["seedbed", "run", "--portable", "--audit", "--record=r", "--", "python"]


@pytest.mark.parametrize(("options", "at_a_time"), [((), 3), (("--parallel",), 3), (("--parallel", "2"), 2)])
def test_as_many_pods_run_at_a_time_as_asked_for(written, options, at_a_time):
    [job] = cluster.jobs(written(*SWEEP, *options, "--", "python"))
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, at_a_time)


def test_nodes_of_a_training_find_the_first_one(written):
    service, _ = cluster.documents(written(*KINDS["training"]))
    pods = cluster.started(written(*KINDS["training"]))
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == {"job-name": pods[0].job}
    for index, pod in enumerate(pods):
        assert pod.pod["subdomain"] == service["metadata"]["name"]
        assert pod.variables["PET_MASTER_ADDR"] == f"{pods[0].host}.{pod.pod['subdomain']}"
        found = [pod.variables[f"PET_{name}"] for name in ("NNODES", "NODE_RANK", "NPROC_PER_NODE", "MASTER_PORT")]
        assert found == ["2", str(index), "2", "29500"]
        assert pod.words == ["seedbed", "run", "--", "torchrun", "train.py"]


# ---- the same sweep ------------------------------------------------------------------------------------------------

SCRIPT = "import os, random\nfor _ in range(3): print('loss', random.random())\n"


def test_the_manifests_own_commands_make_the_table_of_a_sweep_on_one_machine(
    written, seedbed, python: Path, tmp_path: Path, monkeypatch
):
    """Two at a time, in another order; the index of a pod is no rank, also for who asks for seeds by rank."""
    (tmp_path / "train.py").write_text(SCRIPT)
    whole = seedbed(*SWEEP[:1], "--seeds", "3", "--", "python", "train.py", OMP_NUM_THREADS="2")
    shutil.move(tmp_path / "sweep", tmp_path / "whole")
    monkeypatch.setenv("SEEDBED_RANK_OFFSET", "1")
    first, second, third = cluster.started(written(*KINDS["sweep"]))
    for pods in ([third, first], [second]):
        assert [process.wait() for process in [Popen(**as_in(pod, python, tmp_path)) for pod in pods]] == [0] * len(
            pods
        )
    [table] = cluster.started(written(*KINDS["table"]))
    assert Popen(**as_in(table, python, tmp_path)).wait() == 0
    assert whole.returncode == 0
    for name in RESULTS:
        assert (tmp_path / "sweep" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def as_in(pod: cluster.Started, python: Path, workspace: Path) -> dict:
    """The arguments of Popen by which a pod's command runs here."""
    environ = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONHASHSEED": "42", **pod.variables}
    words = [str(python), "-m", *pod.words]
    return {"args": words, "env": environ, "cwd": workspace, "stdout": DEVNULL, "stderr": DEVNULL}


def test_the_index_of_a_seed_is_no_rank(seedbed, tmp_path: Path):
    (tmp_path / "train.py").write_text("import random, os; print('loss', os.environ.get('JOB_COMPLETION_INDEX'))")
    variables = {"JOB_COMPLETION_INDEX": "1", "SEEDBED_RANK_OFFSET": "1"}
    done = seedbed("sweep", "--seeds", "2", "--only", "1", "--", "python", "train.py", **variables)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "sweep").glob("seed-*")] == ["seed-43"]
    assert '"loss None"' in (tmp_path / "sweep/seed-43/record/output.jsonl").read_text()


def test_control_elsewhere_it_is_one(seedbed):
    done = seedbed("info", "--json", JOB_COMPLETION_INDEX="1", SEEDBED_RANK_OFFSET="1")
    assert '"rank": 1' in done.stdout


@pytest.mark.parametrize(("options", "tries"), [((), 2), (("--record", "r"), 0)])
def test_a_training_is_tried_again_but_a_record_is_of_one_run(written, options, tries):
    [job] = cluster.documents(written("run", *GIVEN, *options, "--", "python", "train.py"))
    assert job["spec"]["backoffLimit"] == tries


def test_a_manifest_has_the_same_bytes_whatever_the_terminal_writes(written):
    text = written("run", *GIVEN, "--", "python", "é\u2028😀")
    assert text.isascii() and cluster.started(text)[0].words[-1] == "é\u2028😀"


# ---- wrong use -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "--on", "kubernetes", "x"), "expected --image NAME@sha256:… and --claim NAME"),
        (("sweep", *GIVEN), "expected a command, as in: seedbed sweep -- python train.py"),
        (("sweep", *GIVEN, "--only", "1", "x"), "--on kubernetes runs all seeds: leave out --only"),
        (("sweep", *GIVEN, "--output", "/data/x", "x"), "--output /data/x: expected a folder below /workspace"),
        (("sweep", *GIVEN, "--output", "../x", "x"), "--output ../x: expected a folder below /workspace"),
        (("sweep", *GIVEN, "--output", ".", "x"), "--output .: expected a folder below /workspace"),
        (("sweep", *GIVEN, "--mode", "off", "x"), "mode off seeds nothing"),
        (("sweep", "--cpus", "3", "true"), "--cpus is for --on kubernetes"),
        (("run", "--nodes", "3", "true"), "--nodes is for --on kubernetes"),
        (("run", *GIVEN, "--nodes", "2", "--record", "r", "x"), "--record: a folder is for one process"),
        (("run", *GIVEN, "--record", "/tmp/r", "x"), "--record /tmp/r: expected a folder below /workspace"),
        (("run", *GIVEN, "a\udcff"), "expected UTF-8, which is all that a manifest can contain"),
        (
            ("run", "--image", "pytorch:2.7", "x"),
            "docker image inspect --format '{{join .RepoDigests \" \"}}' pytorch:2.7",
        ),
        (("run", "--claim", "a/b", "x"), "expected the name of a PersistentVolumeClaim, found 'a/b'"),
        (("run", "--user", "0:0", "x"), "expected UID:GID, and not root, found '0:0'"),
        (("run", "--user", "1000:010", "x"), "expected UID:GID, and not root, found '1000:010'"),
        (("run", "--memory", "8", "x"), "expected a size such as 8Gi, found '8'"),
        (("run", "--name", "A", "x"), "expected small letters, digits and hyphens, found 'A'"),
    ],
)
def test_wrong_use_prints_no_manifest_and_says_why(capsys, arguments, said):
    try:
        status = cli.run([*arguments])
    except SystemExit as end:
        status = end.code
    out, error = capsys.readouterr()
    assert (status, out) == (2, "")
    assert said in error
