"""What a mode makes of the environment, in Python; and the entrypoint makes the same of it in shell."""

import os
import subprocess
from pathlib import Path

import pytest
from seedbed import environment
from seedbed.settings import GPU, LARGEST_SEED, VARIABLES

BAKED = environment.baked_environment(GPU)


def entered(runtime: Path, *command: str, **variables: str) -> subprocess.CompletedProcess:
    """What the entrypoint does in an image's environment with the user's variables on top."""
    env = {"PATH": os.environ["PATH"], **BAKED, **variables}
    return subprocess.run(["dash", runtime / "entrypoint.sh", *command], env=env, capture_output=True, text=True)


def adjusted(mode: str, **variables: str) -> dict[str, str]:
    environ = {**BAKED, "SEEDBED_MODE": mode, **variables}
    environment.adjust(environ, mode)
    return environ


@pytest.mark.parametrize("mode", ["strict", "warn", "off"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SEEDBED_SEED": "7"},
        {"PYTHONHASHSEED": "3"},
        {"NCCL_ALGO": "Tree", "OMP_NUM_THREADS": "3"},
        {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "TF_DETERMINISTIC_OPS": "true", "XLA_FLAGS": "--mine"},
    ],
    ids=str,
)
def test_the_entrypoint_and_the_hook_agree(runtime: Path, mode: str, variables: dict[str, str]) -> None:
    done = entered(runtime, "env", SEEDBED_MODE=mode, **variables)
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines())
    ours = {setting.name for setting in VARIABLES} | {"SEEDBED_SEED", "SEEDBED_MODE"}
    expected = {name: value for name, value in adjusted(mode, **variables).items() if name in ours}
    assert {name: value for name, value in lines.items() if name in ours} == expected


def test_off_leaves_nothing_of_ours() -> None:
    assert adjusted("off").keys() == {"SEEDBED_SEED", "SEEDBED_MODE"}


def test_off_leaves_what_the_user_set() -> None:
    theirs = {"NCCL_ALGO": "Tree", "PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "77"}
    assert adjusted("off", **theirs).items() >= theirs.items()


def test_warn_takes_back_what_can_only_raise() -> None:
    assert set(adjusted("strict")) - set(adjusted("warn")) == {
        "TF_DETERMINISTIC_OPS",
        "NVTE_ALLOW_NONDETERMINISTIC_ALGO",
        "XLA_FLAGS",
    }


def test_a_lost_environment_is_restored_for_the_libraries_asked_for() -> None:
    environ: dict[str, str] = {}
    environment.adjust(environ, "strict", ("torch",))
    torch = environment.baked_environment(("torch",)).items() - {("SEEDBED_SEED", "42"), ("SEEDBED_MODE", "strict")}
    assert environ.items() >= torch
    assert "TF_DETERMINISTIC_OPS" not in environ


def test_adjusting_twice_changes_nothing() -> None:
    once = adjusted("strict", SEEDBED_SEED="7")
    twice = dict(once)
    environment.adjust(twice, "strict")
    assert twice == once


def test_ranks_on_one_machine_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "available_cpus", lambda: 8)
    assert environment.threads({}) == 8
    assert environment.threads({"LOCAL_WORLD_SIZE": "4"}) == 2
    assert environment.threads({"LOCAL_WORLD_SIZE": "4", "OMP_NUM_THREADS": "8"}) == 2  # the entrypoint's number
    assert environment.threads({"LOCAL_WORLD_SIZE": "4", "OMP_NUM_THREADS": "3"}) == 3  # the user's
    assert environment.threads({"LOCAL_WORLD_SIZE": "16"}) == 1


@pytest.mark.parametrize(
    "files, cpus",
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": ""}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_control_groups_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cpus: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(environment, "CGROUP", str(tmp_path))
    assert environment.quota_cpus() == cpus


def test_ranks_have_one_seed_unless_an_offset_is_asked_for() -> None:
    assert environment.seed({"RANK": "3"}) == 42
    assert environment.seed({"RANK": "3", "SEEDBED_RANK_OFFSET": "1"}) == 45
    assert environment.seed({"SLURM_PROCID": "2", "SEEDBED_RANK_OFFSET": "1", "SEEDBED_SEED": "7"}) == 9
    assert environment.seed({"RANK": "1", "SEEDBED_RANK_OFFSET": "1", "SEEDBED_SEED": str(LARGEST_SEED)}) == 0


CLUSTER = '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}'


@pytest.mark.parametrize(
    ("variables", "rank"),
    [
        ({}, None),
        ({"RANK": "3", "LOCAL_RANK": "1"}, 3),
        ({"PMIX_RANK": "1"}, 1),  # Open MPI 5
        ({"OMPI_COMM_WORLD_RANK": "1", "PMI_RANK": "0", "SLURM_PROCID": "0"}, 1),  # mpirun inside a job of Slurm
        ({"SLURM_PROCID": "2"}, 2),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "SLURM_PROCID": "0"}, 1),  # Lightning's launcher
        ({"NODE_RANK": "1", "LOCAL_RANK": "1"}, 65537),
        ({"NODE_RANK": "1", "OMPI_COMM_WORLD_RANK": "3"}, 3),  # a job script sets it, mpirun starts the ranks
        ({"NODE_RANK": "1", "PMI_RANK": "3"}, 3),
        ({"NODE_RANK": "1", "SLURM_PROCID": "3"}, 3),
        ({"NODE_RANK": "1", "SLURM_PROCID": "0"}, 65536),
        ({"JAX_PROCESS_ID": "2", "JOB_COMPLETION_INDEX": "3", "SLURM_PROCID": "0"}, 2),
        ({"JOB_COMPLETION_INDEX": "3", "SLURM_PROCID": "0"}, 3),
        ({"NODE_RANK": "1"}, 65536),  # the process that Lightning starts the others of its node from
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "0"}, 1),
        ({"TF_CONFIG": CLUSTER}, 2),
        ({"TF_CONFIG": "{"}, None),
        ({"RANK": "none", "PMI_RANK": "1"}, 1),
    ],
)
def test_the_rank_is_the_one_that_the_launcher_says(variables: dict[str, str], rank: int | None) -> None:
    assert environment.rank(variables) == rank
    assert environment.seed(variables) == 42
    assert environment.seed({**variables, "SEEDBED_RANK_OFFSET": "1"}) == 42 + (rank or 0)


def test_threads_that_seedbed_has_set_are_told_from_the_users() -> None:
    cpus = environment.available_cpus()
    assert environment.threads_are_ours({"OMP_NUM_THREADS": str(cpus)})
    assert not environment.threads_are_ours({"OMP_NUM_THREADS": str(cpus + 1)})
    assert not environment.threads_are_ours({})


@pytest.mark.parametrize("seed", ["0", "42", "4294967295"])
def test_a_legal_seed_is_taken(runtime: Path, seed: str) -> None:
    assert environment.seed({"SEEDBED_SEED": seed}) == int(seed)
    done = entered(runtime, "env", SEEDBED_SEED=seed)
    assert f"PYTHONHASHSEED={seed}\n" in done.stdout
    assert done.stderr.startswith(f"seedbed: seed {seed}, mode strict, threads ")


@pytest.mark.parametrize("seed", ["", "-1", "4294967296", "1e3", "0x10", "7 ", "٣", "9" * 30])
def test_an_illegal_seed_is_refused_in_one_line(runtime: Path, seed: str) -> None:
    message = f"SEEDBED_SEED={seed}: expected a whole number from 0 to 4294967295"
    with pytest.raises(ValueError) as refusal:
        environment.seed({"SEEDBED_SEED": seed})
    assert str(refusal.value) == message
    done = entered(runtime, "true", SEEDBED_SEED=seed)
    in_ascii = message.encode().decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")  # for any terminal
    assert (done.returncode, done.stderr) == (2, f"seedbed: {in_ascii}\n")
