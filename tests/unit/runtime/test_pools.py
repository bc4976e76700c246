"""Process pools: which worker runs which task is a race, and the results are the same all the same."""

import pytest

# Each task takes a while that varies, so that runs differ in which worker gets which.
TASKS = """
import multiprocessing as mp, os, random, sys, time
from concurrent.futures import ProcessPoolExecutor

def draw(task):
    time.sleep(os.urandom(1)[0] / 5000)
    return random.random(), random.Random().random(), *map(float, numpy_too())

def numpy_too():
    try:
        import numpy
    except ImportError:
        return ()
    return numpy.random.rand(), numpy.random.default_rng().random()

if __name__ == "__main__":
    with mp.get_context(METHOD).Pool(2) as pool:
        drawn = pool.map(draw, range(6), chunksize=1) + [pool.apply(draw, [0])] + list(pool.imap(draw, range(3)))
    with mp.get_context(METHOD).Pool(2) as pool:
        drawn += pool.map(draw, range(3))
    with ProcessPoolExecutor(2, mp_context=mp.get_context(METHOD)) as pool:
        drawn += pool.map(draw, range(6))
    print(*drawn)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_tasks_repeat_whichever_worker_runs_them(output, method: str) -> None:
    code = TASKS.replace("METHOD", repr(method))
    drawn = output(code)
    numbers = drawn.replace("(", " ").replace(")", " ").replace(",", " ").split()
    assert drawn == output(code) == output(code)
    assert len(numbers) == len(set(numbers))
    assert drawn != output(code, SEEDBED_SEED="7")
    assert output(code, SEEDBED_MODE="off") != output(code, SEEDBED_MODE="off")


SEEDED = """
import multiprocessing as mp, os, random, time
{parent}

def seed(number):
    random.seed(number)

def draw(task):
    time.sleep(os.urandom(1)[0] / 5000)
    {task}
    return random.random()

if __name__ == "__main__":
    with mp.get_context({method!r}).Pool(2, {initializer}) as pool:
        print(*pool.map(draw, range(6), chunksize=1))
"""


def seeded(method: str = "fork", parent: str = "", initializer: str = "", task: str = "") -> str:
    return SEEDED.format(method=method, parent=parent, initializer=initializer, task=task)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("where", ["parent", "initializer"])
def test_a_seed_that_the_user_sets_before_the_tasks_goes_into_theirs(output, method: str, where: str) -> None:
    first, second = (
        seeded(method, **{where: f"random.seed({n})" if where == "parent" else f"seed, [{n}]"}) for n in (1, 2)
    )
    assert output(first) == output(first)
    assert output(first) != output(second)


GUARDED = """
import multiprocessing as mp, random

def draw(task):
    return random.random()

if __name__ == "__main__":
    {first}
    with mp.get_context({method!r}).Pool(2) as pool:
        {second}
        print(*pool.map(draw, range(6), chunksize=1))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("where", ["first", "second"])
@pytest.mark.parametrize("set_to", ["random.seed({})", "random.setstate(random.Random({}).getstate())"])
def test_a_seed_or_a_restored_state_reaches_the_tasks_submitted_after_it(output, method, where, set_to) -> None:
    def drawn(number: int | None) -> str:
        places = {"first": "pass", "second": "pass", where: "pass" if number is None else set_to.format(number)}
        return output(GUARDED.format(method=method, **places))

    assert drawn(1) == drawn(1)
    assert len({drawn(1), drawn(2), drawn(None)}) == 3


def test_a_second_pool_and_replaced_workers_draw_other_numbers(output) -> None:
    code = """
import multiprocessing as mp, random

def draw(task):
    return random.random()

if __name__ == "__main__":
    drawn = []
    for _ in range(2):
        with mp.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
            drawn += pool.map(draw, range(4), chunksize=1)
    print(*drawn)
"""
    drawn = output(code)
    assert drawn == output(code)
    assert len(set(drawn.split())) == 8


def test_a_seed_that_the_user_sets_in_a_task_wins(output) -> None:
    code = seeded(task="random.seed(task)")
    assert output(code) == output(code, SEEDBED_SEED="7") == output(code, SEEDBED_MODE="off")


def test_a_seed_in_one_task_does_not_reach_the_next(output) -> None:
    code = seeded(task="if task % 2: random.seed(os.urandom(8))")
    first, again = output(code).split(), output(code).split()
    assert first[::2] == again[::2]
    assert first[1::2] != again[1::2]


def test_a_pool_of_threads_goes_on_from_the_users_seed(output) -> None:
    code = """
import random
from multiprocessing.pool import ThreadPool
random.seed(1)
print(ThreadPool(1).map(lambda _: random.random(), range(3)))"""
    assert output(code) == output(code, SEEDBED_MODE="off")


def test_an_error_in_a_task_is_what_it_would_be(output) -> None:
    code = """
from multiprocessing import Pool
def fail(task): raise ValueError(f"task {task}")
if __name__ == "__main__":
    with Pool(1) as pool:
        try: pool.map(fail, [3])
        except ValueError as error: print(error)
        try: list(pool.imap(fail, (1 / 0 for _ in range(1))))
        except ZeroDivisionError as error: print(error)"""
    assert output(code) == output(code, SEEDBED_MODE="off") == "task 3\ndivision by zero\n"


JOBLIB = {
    "joblib/__init__.py": "",
    "joblib/_parallel_backends.py": """
class LokyBackend:
    def submit(self, func, callback=None):
        return [function.name for function, _, _ in func.items]
""",
}


def test_joblibs_calls_are_numbered_one_by_one_since_batches_vary_in_size(output, install) -> None:
    install(JOBLIB)
    code = """
import random
from joblib._parallel_backends import LokyBackend

class Batch:
    def __init__(self, size): self.items = [(random.random, (), {})] * size

print(*sum((LokyBackend().submit(Batch(size)) for size in SIZES), []))"""
    names = output(code.replace("SIZES", "(1, 3, 2)"))
    assert names == output(code.replace("SIZES", "(4, 2)"))
    assert len(set(names.split())) == 6


@pytest.mark.parametrize("package", ["loky", "joblib.externals.loky"])
def test_lokys_executor_has_numbered_tasks_by_either_name(output, install, package: str) -> None:
    folders = package.split(".")
    install({"/".join([*folders[:n], "__init__.py"]): "" for n in range(1, len(folders) + 1)})
    executor = "class ProcessPoolExecutor:\n    def submit(self, fn, *args): return fn(*args)"
    install({"/".join([*folders, "process_executor.py"]): executor})
    code = f"""
from {package}.process_executor import ProcessPoolExecutor
from seedbed import lineage
print(ProcessPoolExecutor().submit(lineage.place))"""
    assert output(code) == "/e1.1\n"
