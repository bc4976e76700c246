"""From journals of two runs: the operation in which they part, and what kind of cause that is."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from seedbed.trace import cause, difference
from seedbed.trace.cause import Cause
from seedbed.trace.journal import HIDDEN
from seedbed.trace.run import Run

Traced = Callable[[list[dict]], Run]


@pytest.fixture
def traced(tmp_path: Path) -> Traced:
    """A run whose only process has written these events."""

    def traced(events: list[dict]) -> Run:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "0-1.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
        (folder / "output.txt").touch()
        return Run(folder, 0, 1.0)

    return traced


def operation(name: str, gives: str, given: dict[str, list[int]] | None = None, **more) -> dict:
    """One that stands at a place of its own; `given` has each input's fingerprint and the operations that wrote it."""
    given = given or {}
    fixed = {"op": name, "arguments": "()", "outputs": [gives], "module": "", "places": [f"train.py:{name}"]}
    return fixed | {"inputs": list(given), "from": list(given.values())} | more


def update(shown: str, *writers: int) -> dict:
    return {"seen": "update", "name": "Adam", "tensors": [shown], "places": ["train.py:9"], "from": [list(writers)]}


def cause_of(traced: Traced, one: list[dict], other: list[dict]) -> Cause:
    runs = [traced(one), traced(other)]
    return cause.of(difference.origin(difference.first(runs)), runs)


def test_equal_journals_have_no_difference(traced: Traced) -> None:
    events = [operation("mul", "a"), update("a", 0), {"step": 1}]
    assert difference.first([traced(events), traced(events)]) is None


def test_the_operation_is_named_that_was_given_the_same(traced: Traced) -> None:
    def run(sum_of: str, product: str) -> list[dict]:
        return [operation("mul", "a"), operation("sum", sum_of, {"a": [0]}), operation("exp", product, {sum_of: [1]})]

    found = cause_of(
        traced, [*run("s", "p"), update("p", 2), {"step": 1}], [*run("S", "P"), update("P", 2), {"step": 1}]
    )
    assert (found.kind, found.places) == (cause.OPERATION, ("train.py:sum",))


def test_of_two_sources_the_earlier_is_named(traced: Traced) -> None:
    def run(one: str, two: str) -> list[dict]:
        return [operation("put", one), operation("sum", two), operation("add", one + two, {one: [0], two: [1]})]

    found = cause_of(traced, [*run("a", "b"), update("ab", 2)], [*run("A", "B"), update("AB", 2)])
    assert found.places == ("train.py:put",)


def test_a_difference_that_is_not_used_is_not_blamed(traced: Traced) -> None:
    def run(time: str, noise: str) -> list[dict]:
        return [operation("log", time), operation("sum", noise), update(noise, 1)]

    assert cause_of(traced, run("t", "a"), run("T", "A")).places == ("train.py:sum",)


@pytest.mark.parametrize(
    "seeds, states, said",
    [
        ((1, 2), ("x", "y"), "another seed: 1 and 2"),
        ((1, 1), ("x", "y"), "in another state: something else has drawn from it before"),
    ],
)
def test_a_generator_that_differs_is_the_cause(traced: Traced, seeds: tuple, states: tuple, said: str) -> None:
    def run(seed: int, state: str, gives: str) -> list[dict]:
        return [operation("randn", gives, generator={"seed": seed, "state": state, "own": True}), update(gives, 0)]

    found = cause_of(traced, run(seeds[0], states[0], "a"), run(seeds[1], states[1], "b"))
    assert (found.kind, said in found.said) == (cause.DRAW, True)


def test_a_seed_of_the_users_code_explains_the_generator(traced: Traced) -> None:
    def run(seed: int, gives: str) -> list[dict]:
        given = {"seed": "torch.manual_seed", "value": seed, "places": ["train.py:3 in <module>"]}
        drawn = operation("randn", gives, generator={"seed": seed, "state": gives, "own": False})
        return [given, drawn, update(gives, 0)]

    found = cause_of(traced, run(1, "a"), run(2, "b"))
    assert found.certain == ("torch.manual_seed at train.py:3 in <module> is given 1 and 2",)


def test_a_number_that_python_was_told_leads_back_to_where_it_comes_from(traced: Traced) -> None:
    def run(total: str, factor: str) -> list[dict]:
        return [
            operation("sum", total),
            operation("aten._local_scalar_dense.default", total, {total: [0]}),
            operation("mul", factor, {"x": []}, arguments=f"(·, {factor})"),
            update(factor, 2),
        ]

    assert cause_of(traced, run("s", "1.5"), run("S", "1.6")).places == ("train.py:sum",)


def test_a_number_from_nowhere_is_pythons(traced: Traced) -> None:
    def run(factor: str) -> list[dict]:
        return [operation("mul", factor, {"x": []}, arguments=f"(·, {factor})"), update(factor, 0)]

    assert cause_of(traced, run("1.5"), run("1.6")).kind == cause.VALUE


def test_data_that_come_in_another_order_are_told_from_other_data(traced: Traced) -> None:
    def run(*batches: str) -> list[dict]:
        return [operation("add", f"sum of {batch}", {batch: []}) for batch in batches] + [
            update(f"sum of {batches[0]}", 0)
        ]

    disordered = cause_of(traced, run("a", "b"), run("b", "a"))
    assert (disordered.kind, "the same values come at another time" in disordered.said) == (cause.DATA, True)
    assert "at another time" not in cause_of(traced, run("a", "b"), run("c", "d")).said


def test_memory_read_before_it_was_written_to_is_traced_to_its_maker(traced: Traced) -> None:
    def run(filling: str, total: str) -> list[dict]:
        summed = operation("add", total, {HIDDEN: [0]}, hidden=[filling])
        return [operation("empty", HIDDEN), summed, update(total, 1)]

    found = cause_of(traced, run("zeros", "a"), run("ones", "b"))
    assert (found.kind, found.places) == (cause.FRESH, ("train.py:empty",))


def test_runs_that_go_different_ways_part_at_the_first_other_operation(traced: Traced) -> None:
    one = [
        operation("mul", "a"),
        operation("sin", "b"),
        {"seen": "update", "name": "Adam", "tensors": [], "places": [], "from": []},
    ]
    other = [
        operation("mul", "a"),
        operation("cos", "c"),
        {"seen": "update", "name": "SGD", "tensors": [], "places": [], "from": []},
    ]
    found = cause_of(traced, one, other)
    assert (found.kind, found.places) == (cause.PATH, ("train.py:sin",))


def test_the_first_differing_step_is_named_and_a_missing_one_counts(traced: Traced) -> None:
    steps = [update("a"), {"step": 1}, update("b"), {"step": 2}]
    assert difference.first([traced(steps), traced([*steps[:2], update("B"), {"step": 2}])]).step == 2
    assert difference.first([traced(steps), traced(steps[:2])]).step == 2


def test_a_torn_last_line_is_dropped(traced: Traced) -> None:
    one, other = (traced([update("a"), {"step": 1}]) for _ in range(2))
    with (other.folder / "0-1.jsonl").open("a") as file:
        file.write('{"seen": "upd')
    assert difference.first([one, other]) is None


BROKEN = {
    "no tensors": ({"seen": "update", "name": "Adam", "places": [], "from": []}, "seen: .*found no tensors"),
    "another landmark": (update("a") | {"seen": "x"}, "seen: seen: expected a landmark"),
    "fewer writers": (update("a") | {"from": []}, "seen: tensors: expected 0, found 1"),
    "inputs that are none": (operation("mul", "a") | {"inputs": None}, "op: inputs: expected a list of texts"),
    "a generator without a seed": (operation("mul", "a", generator={"state": ""}), "op: generator: expected"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_journal_that_the_traced_program_has_broken_is_named(traced: Traced, case: str) -> None:
    """Control: each was a TypeError or KeyError somewhere in the search."""
    event, complaint = BROKEN[case]
    [process] = traced([event]).processes.values()
    with pytest.raises(ValueError, match=rf"0-1\.jsonl:1: expected a journal: {complaint}"):
        list(process.events("seen", "op"))


def test_a_journal_that_is_no_file_is_not_waited_for(traced: Traced) -> None:
    run = traced([])
    (run.folder / "0-1.jsonl").unlink()
    os.mkfifo(run.folder / "0-1.jsonl")
    with pytest.raises(ValueError, match="found a FIFO"):
        list(run.processes["0-1"].events("op"))


def test_seeds_without_a_place_and_inputs_without_a_shape_are_no_error(traced: Traced) -> None:
    """A program that writes to its own journal may leave them out."""

    def run(seed: int, given: str) -> list[dict]:
        seeded = {"seed": "random.seed", "value": seed, "places": []}
        return [seeded, operation("mul", given, {given: []}), update(given, 0)]

    assert cause_of(traced, run(1, ""), run(2, "a")).certain == ("random.seed is given 1 and 2",)


def test_a_writer_that_the_journal_does_not_have_is_no_error(traced: Traced) -> None:
    """A forked child has a journal of its own, and what its parent has made."""
    one, other = ([operation("mul", shown, {shown: [7]}), update(shown, 0), {"step": 1}] for shown in ("a", "b"))
    assert cause_of(traced, one, other).kind == cause.DATA
