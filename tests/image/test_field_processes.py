"""Processes that can be told apart: workers started as programs differ, ranks have the seed that was asked for."""

import pytest

OFFSET = {"SEEDBED_RANK_OFFSET": "1"}


def printed(field, *command: str, **environment: str) -> str:
    done = field("pytorch").run([*command], environment)
    assert done.status == 0, done.stderr
    return done.stdout


def test_workers_started_as_programs_differ_and_repeat(field) -> None:
    """The estimates of four equal programs were four times the same one."""
    drawn = printed(field, "python", "/field/programs.py")
    assert drawn.split()[0] == "12"
    assert drawn == printed(field, "python", "/field/programs.py")
    assert drawn != printed(field, "python", "/field/programs.py", SEEDBED_MODE="off")


@pytest.mark.parametrize(("environment", "seeds"), [({}, ["42", "42"]), (OFFSET, ["42", "43"])])
def test_lightnings_ranks_have_the_same_seed_or_one_each(field, environment: dict[str, str], seeds: list[str]) -> None:
    said = printed(field, "python", "/field/ranks.py", **environment)
    lines = sorted(line.split() for line in said.splitlines() if line.startswith("rank "))
    assert lines == [["rank", str(rank), "seed", seed] for rank, seed in enumerate(seeds)]


@pytest.mark.parametrize("variable", ["RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"])
def test_ranks_of_other_launchers_too(field, variable: str) -> None:
    command = ["python", "-c", "import numpy; print(numpy.random.get_state()[1][0])"]
    assert printed(field, *command, **{variable: "1"}) == "42\n"
    assert printed(field, *command, **{variable: "1"}, **OFFSET) == "43\n"


def test_info_says_which_rank_it_has_found(field) -> None:
    assert "1, from PMIX_RANK" in printed(field, "seedbed", "info", PMIX_RANK="1")


def test_forked_children_draw_numbers_of_their_own(field) -> None:
    drawn = printed(field, "python", "/field/forked.py")
    numbers = [number for line in drawn.splitlines() for number in line.split()]
    assert len(numbers) == 10 and len(set(numbers)) == 10
    assert drawn == printed(field, "python", "/field/forked.py")


def test_forked_children_copy_what_the_user_has_seeded(field) -> None:
    """The last line is a pool's, whose tasks have seeds of their own."""
    seeded, off = (
        printed(field, "python", "/field/forked.py", "seeded", SEEDBED_MODE=mode).splitlines()
        for mode in ("strict", "off")
    )
    assert seeded[:4] == off[:4]
    assert len(set(seeded[1:4])) == 1


def test_forked_children_go_on_if_a_thread_was_drawing(field) -> None:
    """Then a lock of torch's is held for ever in them, and who draws there waits: seeding must not."""
    assert printed(field, "python", "/field/forked.py", "busy") == "ended\n" * 8
