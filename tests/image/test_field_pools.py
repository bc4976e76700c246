"""Pools that people use: which worker runs which task is a race, and the numbers do not follow it."""

import pytest

OFF = {"SEEDBED_MODE": "off"}
KINDS = {
    "forked": ["joblib-loky", "joblib-multiprocessing", "multiprocessing", "multiprocess", "billiard", "torch"],
    "spawned": ["multiprocess-spawn", "billiard-spawn", "restarted-spawn"],
    "executors": ["pathos", "loky", "executor"],
    "threads": ["joblib-threading", "threads", "dummy", "dask", "scipy"],
}


def printed(field, image: str, *command: str, **environment: str) -> str:
    done = field(image).run(["python", *command], environment)
    assert done.status == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("group", KINDS)
def test_every_pool_gives_the_same_numbers_whichever_worker_draws_them(field, group: str) -> None:
    kinds = KINDS[group]
    drawn = printed(field, "pytorch", "/field/pools.py", *kinds)
    rows = [line.split() for line in drawn.splitlines()]
    assert [(kind, twice) for kind, twice, _ in rows] == [(kind, "0") for kind in kinds]
    assert drawn == printed(field, "pytorch", "/field/pools.py", *kinds)


def test_with_seedbed_disabled_they_differ(field) -> None:
    kinds = ["joblib-multiprocessing", "threads"]
    first, second = (printed(field, "pytorch", "/field/pools.py", *kinds, **OFF).splitlines() for _ in range(2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_a_pool_started_again_draws_other_numbers(field) -> None:
    assert printed(field, "pytorch", "/field/pools.py", "restarted").split()[1] == "0"


def test_a_pool_after_a_checkpoint_is_restored_does_not_repeat_the_first(field) -> None:
    """Each part is a process of its own, whose pool is its first."""
    first, second = (printed(field, "pytorch", "/field/resumed.py", part).split() for part in ("first", "second"))
    assert not set(first) & set(second)
    assert second == printed(field, "pytorch", "/field/resumed.py", "second").split()


def test_joblibs_workers_share_the_cpus(field) -> None:
    """As they do with Seedbed disabled: joblib divides them among its workers."""
    assert printed(field, "pytorch", "/field/shares.py") == printed(field, "pytorch", "/field/shares.py", **OFF)


def test_the_environment_that_a_worker_is_sent_is_its_own(field) -> None:
    assert printed(field, "pytorch", "/field/sent_environment.py") == "['1', '1']\n"


def test_keras_workers_that_are_threads_give_the_same_weights(field) -> None:
    weights = printed(field, "tensorflow", "/field/pydataset.py")
    assert weights == printed(field, "tensorflow", "/field/pydataset.py")
