"""Trainings of several ranks on the CPU: they repeat, resume, and are told from those of another number of ranks.

docs/distributed.md, command by command, in one container of the PyTorch image; then the negative controls.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder import paths
from builder.engine.containers import Running
from builder.image.contents import ENTRYPOINT
from builder.outcomes import Finished
from tests import pages

PAGE = paths.ROOT / "docs" / "distributed.md"
SCRIPTS, FOLDER = "/scripts", "/tmp/ranks"
HERE = Path(__file__).parent / "distributed"
OFFSET = {"SEEDBED_RANK_OFFSET": "1"}
TORCHRUN = "torchrun --standalone --nproc-per-node"
Shell = Callable[..., Finished]


@pytest.fixture(scope="module")
def container(record_of, docker) -> Iterator[Running]:
    options = {"files": {SCRIPTS: HERE}, "shm_size": "256m"}
    with docker.started(record_of("pytorch").digest, ["sleep", "infinity"], **options) as made:
        yield made


@pytest.fixture(scope="module")
def shell(container: Running) -> Shell:
    """Runs a line of a shell as `docker run` would: in a new folder with the scripts, or in that of a test."""
    made = iter(range(1000))

    def shell(line: str, folder: str = "", status: int | None = 0, **environment: str) -> Finished:
        folder = folder or f"{FOLDER}-{next(made)}"
        line = f"mkdir -p {folder} && cd {folder} && cp {SCRIPTS}/*.py . && {line}"
        done = container.run([ENTRYPOINT[-1], "bash", "-c", line], environment=environment)
        assert status in (None, done.status), f"{line}: {done.stdout}{done.stderr}"
        return done

    return shell


@pytest.fixture(scope="module")
def page(shell: Shell) -> dict[str, str]:
    """What each command on the page prints, one after the other in one folder; each has to end well."""
    return {command: said(shell(command, f"{FOLDER}-page")) for command in pages.commands(PAGE.read_text())}


def said(done: Finished) -> str:
    return done.stdout + done.stderr


def of(page: dict[str, str], *words: str) -> str:
    (found,) = [printed for command, printed in page.items() if all(word in command for word in words)]
    return found


def test_two_ranks_repeat_with_ddp_and_fsdp_and_another_seed_is_another_training(page: dict[str, str]) -> None:
    printed = of(page, "verify")
    assert "EQUAL: 2 runs, 2 ranks, 72 steps, all bits of initial parameters, data, losses, gradients" in printed
    assert "warning: seed 43" not in printed  # that it changes nothing, or not the data


def test_four_ranks_repeat_with_the_same_parameters_in_every_rank(page: dict[str, str], shell: Shell) -> None:
    line = f"seedbed run --record again -- {TORCHRUN} 4 train.py ddp fsdp fsdp2"
    rows = [sorted(ranks(printed)) for printed in (of(page, "record four"), said(shell(line, f"{FOLDER}-page")))]
    assert rows[0] == rows[1]
    assert [len({row.split()[-1] for row in rows[0] if f" {kind} " in row}) for kind in ("ddp", "fsdp", "fsdp2")] == [
        *(1, 4, 4)  # DDP has all of them in every rank
    ]
    assert "EQUAL. All bits agree." in shell("seedbed compare four again", f"{FOLDER}-page").stdout


def ranks(printed: str) -> list[str]:
    """The lines of the ranks."""
    return [line for line in printed.splitlines() if line.startswith("rank ")]


def test_threads_follow_from_the_machine(page: dict[str, str], shell: Shell) -> None:
    cpus = int(shell("nproc").stdout)
    for size, name in ((2, "inside"), (4, "four")):
        threads = {re.search(r"threads (\d+)", row)[1] for row in ranks(of(page, f"record {name} "))}
        assert threads == {str(max(1, cpus // size))}


def test_a_job_that_is_cut_off_and_resumed_is_equal(page: dict[str, str]) -> None:
    for kind in ("ddp", "fsdp2"):
        rows = [line.split() for line in of(page, "resume", kind).splitlines()]
        assert ["18", "16", "8", "equal"] in rows


def test_what_the_ranks_do_not_restore_is_named(shell: Shell) -> None:
    """The sampler's epoch, and the generators, which without noise in the data only dropout needs."""
    line = f"seedbed resume --json --at 18 -- {TORCHRUN} 2 train.py fsdp2"
    done = shell(line, status=1, SAVED="saved", LEAVE="noise,epoch,generators")
    (place,) = json.loads(done.stdout)["places"]
    assert (place["outcome"], place["after"], place["difference"]["step"]) == ("differs", 16, 17)
    assert place["not_restored"] == [
        "the order of the data: step 17 repeats the batch of step 5 (the epoch began again?)",
        "torch's CPU generator",
    ]


def test_another_world_size_is_another_experiment(page: dict[str, str]) -> None:
    printed = of(page, "compare", "four")
    assert "NOT COMPARABLE: world size 2 in A, 4 in B: another experiment" in printed


def test_one_record_has_all_ranks_wherever_the_command_stands(page: dict[str, str]) -> None:
    assert "EQUAL. All bits agree." in of(page, "compare", "inside")


def test_replay_starts_the_launcher(page: dict[str, str]) -> None:
    command = next(line for line in of(page, "replay").splitlines() if line.startswith("docker run"))
    assert command.endswith(f" {TORCHRUN} 2 train.py ddp fsdp fsdp2")
    assert "RANK=" not in command and "WORLD_SIZE=" not in command


def test_a_divergence_in_one_rank_is_named_with_the_rank(page: dict[str, str]) -> None:
    number = next(
        number
        for number, line in enumerate((HERE / "train.py").read_text().splitlines(), start=1)
        if "x = x + random.SystemRandom()" in line
    )
    traced, audited = of(page, "trace"), of(page, "audit")
    assert "The runs differ, first in step 1 of rank 1: " in traced
    assert f"    train.py:{number} in train\n" in traced
    assert re.search(rf"/train.py:{number}  24 times  os.urandom.*\(rank 1\)", audited)
    assert f"train.py:{number}" in PAGE.read_text()


def seeds(done: Finished) -> list[tuple[str, ...]]:
    """The rank, the seed, and what it draws, of each rank."""
    return [tuple(row.split()[1:]) for row in sorted(ranks(done.stdout))]


@pytest.mark.parametrize("line", [f"{TORCHRUN} 2 seeds.py", "python seeds.py spawn"])
def test_every_rank_has_the_same_seed_or_one_each(shell: Shell, line: str) -> None:
    same, own = seeds(shell(line)), seeds(shell(line, **OFFSET))
    assert [row[:2] for row in same] == [("0", "42"), ("1", "42")]
    assert same[0][2:] == same[1][2:]
    assert [row[:2] for row in own] == [("0", "42"), ("1", "43")]
    assert own[0] == same[0]
    assert all(one != other for one, other in zip(*own, strict=True))


def test_so_has_every_rank_of_accelerate(with_packages: Running) -> None:
    # Its launcher of several processes, which is torchrun and asks for no GPU; --cpu would want mpirun.
    launch = "accelerate launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    script = (HERE / "seeds.py").read_text()
    command = [ENTRYPOINT[-1], "bash", "-c", f'printf %s "$0" >/tmp/seeds.py && {launch} /tmp/seeds.py', script]
    done = with_packages.run(command, environment=OFFSET)
    assert done.status == 0, done.stderr
    assert [row[:2] for row in seeds(done)] == [("0", "42"), ("1", "43")]
