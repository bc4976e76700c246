"""In the PyTorch image: quick rows of the register of native generators; `make register` runs them all."""

import pytest

from tests.image.register import REGISTER, faults, script

QUICK = ("polars", "duckdb", "cv2", "onnxruntime", "pyarrow", "rustworkx", "sqlite3", "tokenizers")
ROWS = [pytest.param(row, id=row.module) for row in REGISTER if row.module in QUICK]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_as_the_register_says(field, row) -> None:
    container = field("pytorch")

    def draw(**variables: str) -> str:
        return container.outputs(1, ["python", f"/field/register/{script(row).name}"], variables)[0]

    assert faults(row, draw) == []


FORKS = "/field/native_forks.py"


def test_children_and_tasks_draw_numbers_of_their_own_and_the_same_in_every_run(field) -> None:
    container = field("pytorch")
    first, second = container.outputs(2, ["python", FORKS])
    assert first == second
    lines = first.splitlines()
    numbers = [number for line in lines for number in line.split()]
    assert len(lines) == 7 and len(set(numbers)) == len(numbers)


def test_the_users_own_seed_wins(field) -> None:
    script = """
import cv2, numpy, polars
cv2.setRNGSeed(3)
polars.set_random_seed(3)
print(cv2.randu(numpy.zeros(1), 0, 1).item(), polars.Series(range(10**6)).sample(1).item())"""
    container = field("pytorch")
    strict, other, off = (
        container.outputs(1, ["python", "-c", script], variables)[0]
        for variables in ({}, {"SEEDBED_SEED": "7"}, {"SEEDBED_MODE": "off"})
    )
    assert strict == other == off


def test_order_that_the_user_gives_up_is_given_up(field) -> None:
    script = """
import polars
table = polars.DataFrame({"user": [number % 500 for number in range(2000)]})
print(table.unique("user", maintain_order=False)["user"].to_list())"""
    assert len(set(field("pytorch").outputs(3, ["python", "-c", script]))) > 1


def test_duckdb_still_finds_tables_among_the_callers_variables(field) -> None:
    first, second = field("pytorch").outputs(2, ["python", "/field/native_frames.py"])
    assert first == second
