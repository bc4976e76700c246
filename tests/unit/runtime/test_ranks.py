"""Ranks of a distributed job: one seed, one record of all, and another number of them is another experiment."""

from pathlib import Path

import pytest
from seedbed import compare, environment, golden, replay, verify
from seedbed.observe.lines import Lines
from seedbed.recording import record
from seedbed.recording.record import Rank, Record, Step
from seedbed.resume import judge
from seedbed.settings import RANKS
from seedbed.sweep import runs
from seedbed.sweep.plan import Plan
from seedbed.trace.run import Run as TracedRun

CLUSTER = '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 1}}'
PAGE = Path(__file__).parents[3] / "docs" / "distributed.md"
INSIDE = {"RANK": "1", "WORLD_SIZE": "2"}
FACTS = {
    **{"command": ["torchrun", "train.py"], "folder": "/workspace", "started": "2025-01-01T00:00:00+00:00"},
    **{"seed": 42, "mode": "strict", "threads": 1, "gpus": [], "driver": "", "sources": {}, "data": {}},
    "cpu": {"model": "A", "vendor": "AuthenticAMD", "instructions": ["avx2"]},
    "image": {"name": "pytorch", "tag": "2.7.1-py311", "lock": "sha256:" + "1" * 64},
}


@pytest.mark.parametrize(
    ("variables", "size"),
    [
        ({}, None),
        ({"RANK": "3", "WORLD_SIZE": "4"}, 4),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, 2),  # Lightning's launcher
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "SLURM_STEP_NUM_TASKS": "1"}, 2),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, 3),
        ({"PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "2"}, 2),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "8"}, 2),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # an sbatch script, which starts ranks and is none
        ({"JAX_PROCESS_ID": "1", "JAX_NUM_PROCESSES": "2"}, 2),
        ({"TF_CONFIG": CLUSTER}, 3),
        ({"TF_CONFIG": "{"}, None),
        ({"JOB_COMPLETION_INDEX": "3"}, None),  # a sweep's seed is no rank
        ({"RANK": "0", "WORLD_SIZE": "0"}, None),
    ],
)
def test_the_world_size_is_the_one_that_the_launcher_of_the_rank_says(variables: dict[str, str], size) -> None:
    assert environment.world_size(variables) == size
    assert (environment.one_of_ranks(variables) is None) == (size is None)


@pytest.mark.parametrize("variable", [name for name in RANKS if name not in ("NODE_RANK", "TF_CONFIG")])
def test_each_variable_on_the_page_gives_the_seed_or_one_of_its_own(variable: str) -> None:
    assert f"`{variable}`" in PAGE.read_text()
    assert environment.rank_and_source({variable: "1"}) == (1, variable)
    assert environment.seed({variable: "1"}) == 42
    assert environment.seed({variable: "1", "SEEDBED_RANK_OFFSET": "1"}) == 43


GROUP = {
    "torch/distributed/__init__.py": """
from torch.distributed import distributed_c10d
group = None
def is_available(): return True
def is_initialized(): return group is not None
def get_rank(): return group.rank()
def get_world_size(): return 2
""",
    "torch/distributed/distributed_c10d.py": """
class GroupMember: NON_GROUP_MEMBER = object()
class Group:
    def __init__(self, number): self.number = number
    def rank(self): return self.number
def _update_default_pg(group):
    import torch.distributed
    torch.distributed.group = group
""",
}
JOINING = """
import sys; sys.modules["torch"] = type(sys)("torch"); sys.modules["torch"].__path__ = ["torch"]  # only a package here
import multiprocessing, random
from torch.distributed import distributed_c10d

def rank(number, queue, joins):
    {seed}
    if joins:
        distributed_c10d._update_default_pg(distributed_c10d.Group(number))
    queue.put((number, random.random(), random.Random().random()))

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.SimpleQueue()
    ranks = [context.Process(target=rank, args=(number, queue, {joins})) for number in range(2)]
    for each in ranks: each.start()
    drawn = sorted(queue.get() for _ in ranks)
    for each in ranks: each.join()
    for _, *numbers in drawn: print(*numbers)
    print(random.random(), random.Random().random())
"""


@pytest.fixture
def joined(output, install):
    """What two children of multiprocessing draw, and then their parent."""
    install(GROUP)

    def joined(method: str = "spawn", joins: bool = True, seed: str = "", **variables: str) -> list[str]:
        return output(JOINING.format(method=method, joins=joins, seed=seed), **variables).splitlines()

    return joined


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_that_join_a_group_of_processes_have_the_seed_of_a_rank(joined, method: str) -> None:
    one, two, parent = joined(method)
    assert one == two == parent


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_that_join_none_are_workers(joined, method: str) -> None:
    assert len(set(joined(method, joins=False))) == 3


def test_such_ranks_can_have_seeds_of_their_own(joined) -> None:
    one, two, parent = joined(SEEDBED_RANK_OFFSET="1")
    assert one == parent != two
    assert two == joined(SEEDBED_SEED="43")[0]


def test_a_seed_that_a_rank_has_set_before_stays(joined) -> None:
    one, two, parent = (line.split()[0] for line in joined(seed="random.seed(number)"))
    assert len({one, two, parent}) == 3


Job = dict[int, list[str]]  # the losses of each rank


def write(folder: Path, ranks: Job, size: int, status: int = 0, environ: dict[str, str] | None = None) -> Record:
    """The record of a job, as a launcher outside of the ranks leaves it."""
    folder.mkdir()
    with Lines(folder / "output.jsonl") as lines:
        lines.write({"run": {**FACTS, "ranks": 1, "environment": environ or {}}})
        lines.write({"end": {"status": status}})
    for rank, losses in ranks.items():
        with Lines(folder / f"rank{rank}.jsonl") as lines:
            told = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
            lines.write({"run": {**FACTS, "ranks": size, "rank": rank, "environment": told}})
            for step, loss in enumerate(losses, start=1):
                lines.write({"step": step, "loss": [float(loss).hex()], "state weights": str(step)})
            lines.write({"end": {"steps": len(losses)}})
    return record.read(folder)


def test_another_world_size_is_another_experiment(tmp_path: Path, seedbed) -> None:
    """Not a first number that differs, of which there would be one in the first step."""
    a, b = write(tmp_path / "a", {0: ["1"], 1: ["2"]}, 2), write(tmp_path / "b", {0: ["3"]}, 4)
    verdict = compare.judge([a, b])
    assert (verdict.outcome, verdict.difference.values) == ("incomparable", ("2", "4"))
    done = seedbed("compare", "a", "b")
    assert done.returncode == 1
    said = "NOT COMPARABLE: world size 2 in A, 4 in B: another experiment, in which every number may differ."
    assert done.stdout.splitlines()[-1] == said


def test_the_same_world_size_is_compared_rank_by_rank(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / name, {0: ["1"], 1: [loss]}, 2) for name, loss in (("a", "2"), ("b", "2"), ("c", "3")))
    assert compare.judge([a, b]).outcome == "equal"
    assert str(compare.judge([a, c]).difference) == "loss (forward), step 1 of rank 1"


def test_a_run_that_never_trained_has_no_world_size(tmp_path: Path) -> None:
    """It was cut off: its launcher does not know how many ranks there would have been."""
    a, b = write(tmp_path / "a", {0: ["1"]}, 2), write(tmp_path / "b", {}, 2)
    assert compare.judge([a, b]).difference.kind != compare.WORLD_SIZE


def test_ranks_that_left_no_steps_are_missed(tmp_path: Path) -> None:
    """They were on another machine, and wrote to a folder of its own."""
    whole, part = write(tmp_path / "a", {0: ["1"], 1: ["2"]}, 2), write(tmp_path / "b", {0: ["1"]}, 2)
    assert verify.missing_ranks([whole, whole]) == verify.missing_ranks([write(tmp_path / "c", {}, 2)]) == []
    assert verify.missing_ranks([whole, part])[0].startswith("of 2 ranks 1 were compared: ")
    assert verify.compared(whole).startswith("2 ranks, 1 step, ")


def test_a_golden_fingerprint_is_of_a_world_size(tmp_path: Path) -> None:
    golden.write(tmp_path / "golden.json", write(tmp_path / "two", {0: ["1"]}, 2))
    answer = golden.check(tmp_path / "golden.json", write(tmp_path / "four", {0: ["2"]}, 4))
    assert answer.holds is None
    assert (
        "on AuthenticAMD avx2, threads 1, world size 4; there is one of world size 2, which is another" in answer.text
    )
    assert golden.check(tmp_path / "golden.json", write(tmp_path / "again", {0: ["1"]}, 2)).holds


def test_a_sweep_refuses_seeds_of_another_world_size(tmp_path: Path) -> None:
    found = {seed: write(tmp_path / str(seed), {0: ["1"]}, size) for seed, size in ((42, 2), (43, 2), (44, 4))}
    plan = Plan(("torchrun", "train.py"), (42, 43, 44), tmp_path)
    runs.refuse_other_world_sizes(plan, {seed: found[seed] for seed in (42, 43)})
    with pytest.raises(ValueError, match="world size 2 for seed 43, 4 for seed 44, which is another experiment: name"):
        runs.refuse_other_world_sizes(plan, found)


def test_replay_starts_the_launcher_without_what_it_told_a_rank(tmp_path: Path) -> None:
    words = replay.docker_run(write(tmp_path / "a", {0: ["1"], 1: ["1"]}, 2, environ={"NCCL_ALGO": "Tree"}))
    assert "NCCL_ALGO=Tree" in words
    assert not [word for word in words if word.startswith(("RANK=", "WORLD_SIZE=", "LOCAL_WORLD_SIZE="))]


def test_replay_of_one_rank_says_that_it_is_one(tmp_path: Path) -> None:
    found = write(tmp_path / "a", {0: ["1"], 1: ["1"]}, 2, environ={**INSIDE, "WORLD_SIZE": "2"})
    assert not [word for word in replay.docker_run(found) if word.startswith(("RANK=", "WORLD_SIZE="))]
    said = "the record is of world size 2, this command of one rank: have a launcher start it in 2"
    assert said in list(replay.warnings(found))


@pytest.mark.parametrize("verb", ["verify", "resume", "trace", "sweep", "golden golden.json"])
def test_commands_that_run_a_training_several_times_are_refused_in_a_rank(seedbed, verb: str) -> None:
    name = verb.split()[0]
    done = seedbed(*verb.split(), "--", "true", **INSIDE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"seedbed: {name}: this is one of 2 ranks (RANK=1): put it around what starts the ranks, as in: "
        f"seedbed {verb} -- torchrun --nproc-per-node 2 train.py\n"
    )


def test_a_seed_of_a_sweep_is_not_run_by_each_of_several_ranks(seedbed, tmp_path: Path) -> None:
    """With SEEDBED_RANK_OFFSET=1 a rank trained with another seed than the table said."""
    done = seedbed("sweep", "--only", "0", "--", "true", **INSIDE)
    assert done.returncode == 2 and "sweep: this is one of 2 ranks" in done.stderr
    alone = seedbed("sweep", "--seeds", "1", "--only", "0", "--", "true", SLURM_PROCID="1", SEEDBED_RANK_OFFSET="1")
    assert alone.returncode == 0 and "seed 42: done" in alone.stderr


def recorded(seedbed, *command: str, rank: int) -> int:
    return seedbed("run", "--record", "r", "--", *command, RANK=str(rank), WORLD_SIZE="2").returncode


def test_ranks_that_are_recorded_one_by_one_have_one_record(seedbed, tmp_path: Path) -> None:
    for rank in (1, 0):  # whichever comes first
        assert recorded(seedbed, "sh", "-c", f"echo rank {rank}; exit {3 * rank}", rank=rank) == 3 * rank
    found = record.read(tmp_path / "r")
    assert (found.output, found.status) == (("rank 0", "rank 1"), 3)
    assert found.facts["command"][-1].startswith("echo rank 0")
    assert recorded(seedbed, "true", rank=1) == 2  # there is one


def test_what_only_one_rank_does_is_audited_with_its_number(seedbed, tmp_path: Path) -> None:
    code = "import os, subprocess, sys\n"
    code += "if len(sys.argv) > 1:\n"
    code += "    for rank in '01': subprocess.run([sys.executable, __file__], env={**os.environ, 'RANK': rank})\n"
    code += "elif os.environ['RANK'] == '1':\n    os.urandom(1)\n"
    (tmp_path / "train.py").write_text(code)
    said = seedbed("run", "--audit", "--", "python", "train.py", "start", WORLD_SIZE="2").stderr
    assert f"{tmp_path}/train.py:5  os.urandom, uuid4 or secrets: random on purpose (rank 1)" in said


def test_a_trace_knows_the_ranks(tmp_path: Path) -> None:
    for name in ("0-1", "0-2", "1-1"):
        (tmp_path / f"{name}.jsonl").touch()
    run = TracedRun(tmp_path, 0, 1.0)
    assert run.has_ranks
    assert [process.rank for process in run.processes.values()] == [0, 0, 1]


def rank_of(number: int, *losses: str, first: int = 1, torch: str = "") -> Rank:
    steps = (
        Step(at - first + 1, {"loss": loss}, states={"weights": str(at), "torch": f"{at}{torch}"})
        for at, loss in enumerate(losses, start=first)
    )
    return Rank(number, {}, tuple(steps), (), True)


def job(*ranks: Rank, size: int = 2) -> Record:
    return Record(Path(), {"ranks": size}, ranks, status=0)


def test_ranks_that_a_launcher_ended_are_compared_as_far_as_they_came() -> None:
    whole = job(rank_of(0, "a", "b", "c"), rank_of(1, "d", "e", "f"))
    assert judge.unrepeatable(whole, job(rank_of(0, "a", "b"), rank_of(1, "d")), 2, ()) is None
    assert judge.unrepeatable(whole, job(rank_of(0, "a", "b")), 2, ()) is None
    assert judge.unrepeatable(whole, job(rank_of(0, "a", "b"), rank_of(1, "x")), 2, ()).difference.rank == 1


def test_what_was_not_restored_is_that_of_the_rank_which_differs() -> None:
    whole = job(rank_of(0, "a", "b", "c"), rank_of(1, "d", "e", "f"))
    again = job(rank_of(0, "b", "c", first=2), rank_of(1, "x", "y", first=2, torch="!"))
    finding = judge.resumed(whole, again, 2, ())
    assert (finding.outcome, finding.difference.rank, finding.states) == ("differs", 1, ("torch",))


def test_a_job_resumed_with_another_world_size_is_another_experiment() -> None:
    whole, again = job(rank_of(0, "a", "b", "c")), job(rank_of(0, "b", "c", first=2), size=4)
    finding = judge.resumed(whole, again, 1, ())
    assert (finding.outcome, finding.difference.kind, finding.difference.values) == (
        "differs",
        "world size",
        ("2", "4"),
    )
