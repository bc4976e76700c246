"""Libraries with generators of their own, by stand-ins; the image's tests and `make register` have the real ones."""

import pytest

CV2 = """
import random
_generator = random.Random(0)
def setRNGSeed(seed): _generator.seed(f"cv2 {seed}")
def draw(): return _generator.getrandbits(64)
"""
CHILDREN = """
import os, cv2
{}
print(cv2.draw(), flush=True)
for _ in range(2):
    if os.fork() == 0:
        print(cv2.draw(), flush=True)
        os._exit(0)
    os.wait()
"""
SQLITE = """
import sqlite3
connection = sqlite3.connect(":memory:")
print(connection.execute("select random(), hex(randomblob(8))").fetchone())
"""


@pytest.fixture(autouse=True)
def stand_ins(install) -> None:
    install({"cv2.py": CV2, "polars.py": "DataFrame = None"})


def test_it_is_seeded_on_import_and_mode_off_leaves_it(output) -> None:
    code = "import cv2; print(cv2.draw())"
    assert output(code) == output(code)
    assert output(code) != output(code, SEEDBED_SEED="7")
    assert output(code, SEEDBED_MODE="off") == output(code, SEEDBED_MODE="off", SEEDBED_SEED="7")


def test_the_users_own_seed_wins(output) -> None:
    code = "import cv2; cv2.setRNGSeed(3); print(cv2.draw())"
    assert output(code) == output(code, SEEDBED_SEED="7") == output(code, SEEDBED_MODE="off")


def test_forked_children_draw_numbers_of_their_own(output) -> None:
    drawn = output(CHILDREN.format(""))
    assert drawn == output(CHILDREN.format(""))
    assert len(set(drawn.split())) == 3
    assert len(set(output(CHILDREN.format(""), SEEDBED_MODE="off").split())) == 2  # the children draw the same


def test_forked_children_copy_what_the_user_has_seeded(output) -> None:
    seeded = CHILDREN.format("cv2.setRNGSeed(3)")
    assert output(seeded) == output(seeded, SEEDBED_MODE="off") != output(CHILDREN.format("cv2.setRNGSeed(4)"))


def test_a_version_without_what_is_called_is_named_and_runs(run) -> None:
    done = run("import polars; print(polars.DataFrame)")
    assert done.returncode == 0
    assert "polars is not seeded: this version is unknown to Seedbed" in done.stderr


def test_sql_random_repeats_and_what_makes_names_does_not(output) -> None:
    first, second = (eval(output(SQLITE)) for _ in range(2))
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert output(SQLITE, SEEDBED_MODE="off") != output(SQLITE, SEEDBED_MODE="off")


def test_connections_of_installed_packages_stay_as_they_are(output, tmp_path) -> None:
    code = f"exec(compile({SQLITE!r}, '/opt/site-packages/store.py', 'exec'))"
    assert output(code) != output(code)
