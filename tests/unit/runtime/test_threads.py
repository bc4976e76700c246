"""Tasks of pools of threads: each has generators of its own, so that no race decides who draws which number."""

import pytest

DRAW = """
import os, random, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from random import gauss, getrandbits, random as draw_one, shuffle
try: import numpy
except ImportError: numpy = None

def draw(task=None):
    found = []
    for turn in range(3):
        time.sleep(os.urandom(1)[0] / 20000)
        found += [random.random(), draw_one(), getrandbits(32), gauss(0, 1), random.Random().random()]
        if numpy:
            found += [numpy.random.rand(), numpy.random.normal(), numpy.random.default_rng().random()]
    cards = list(range(1000))
    shuffle(cards)
    return found + [hash(tuple(cards))]

def show(rows):
    numbers = [number for row in rows for number in row]
    print(len(numbers), len(set(numbers)), hash(tuple(numbers)))
"""
POOLS = {
    "executor": "with ThreadPoolExecutor(4) as pool: show(pool.map(draw, range(20)))",
    "submit": "with ThreadPoolExecutor(4) as pool: show([f.result() for f in [pool.submit(draw) for _ in range(20)]])",
    "thread pool": "with ThreadPool(4) as pool: show(pool.map(draw, range(20), chunksize=2))",
    "apply": "with ThreadPool(4) as pool: show([r.get() for r in [pool.apply_async(draw) for _ in range(20)]])",
    "imap": "with ThreadPool(4) as pool: show(pool.imap(draw, range(20)))",
    "asyncio": """
import asyncio
async def main(): return await asyncio.gather(*(asyncio.to_thread(draw) for _ in range(20)))
show(asyncio.run(main()))""",
    "two pools": """
with ThreadPoolExecutor(2) as one, ThreadPoolExecutor(2) as other:
    show([f.result() for f in [pool.submit(draw) for _ in range(10) for pool in (one, other)]])""",
    "nested": """
def outer(task):
    with ThreadPoolExecutor(2) as inner:
        return [number for row in inner.map(draw, range(3)) for number in row] + draw()
with ThreadPoolExecutor(2) as pool: show(pool.map(outer, range(4)))""",
    "shared by tasks": """
inner = ThreadPoolExecutor(2)
def outer(task): return [number for row in inner.map(draw, range(3)) for number in row]
with ThreadPoolExecutor(2) as pool: show(pool.map(outer, range(4)))""",
}


def test_a_generator_in_what_refuses_changes_is_the_tasks_own_too(output) -> None:
    """Such as the dicts of beartype, which ended every program with both."""
    code = """
import random
from concurrent.futures import ThreadPoolExecutor
class Refusing:
    def __setitem__(self, key, value): raise TypeError(key)
class Names(Refusing, dict): pass
class Row(Refusing, list): pass
names, row = Names(draw=random.random), Row([random.random])
def draw(_): return names["draw"](), row[0](), random.random()
print(*ThreadPoolExecutor(4).map(draw, range(8)))"""
    drawn = output(code)
    assert len(set(drawn.split())) == 24
    assert drawn == output(code) == output(code)


@pytest.mark.parametrize("pool", POOLS)
def test_tasks_repeat_whichever_thread_runs_them(output, pool: str) -> None:
    code = DRAW + POOLS[pool]
    drawn = output(code)
    count, different, _ = drawn.split()
    assert count == different
    assert drawn == output(code) == output(code)
    assert drawn != output(code, SEEDBED_SEED="7")
    assert output(code, SEEDBED_MODE="off") != output(code, SEEDBED_MODE="off")


def test_a_generator_that_others_hold_follows_too(output) -> None:
    pytest.importorskip("numpy")
    code = """
import os, random, time
from concurrent.futures import ThreadPoolExecutor
import numpy
from numpy.random import normal
class Library:
    def __init__(self): self.generator, self.module = numpy.random.mtrand._rand, random._inst
held = Library()
def draw(_):
    time.sleep(os.urandom(1)[0] / 20000)
    return normal(), held.generator.rand(), held.module.random()
with ThreadPoolExecutor(4) as pool: print(*pool.map(draw, range(20)))"""
    assert output(code) == output(code) == output(code)


HELD = """
import functools, random, types
from concurrent.futures import ThreadPoolExecutor
{library}
class Held:
    __slots__ = ["slot"]
    in_class = {method}
held = Held()
held.slot = {method}
named = types.SimpleNamespace(f={method})
listed, in_tuple = [{method}], (1, ({method},))
def by_default(f={method}): return f()
def by_keyword(*, f={method}): return f()
def make(f): return lambda: f()
partial, of_partial = functools.partial({method}), functools.partial(lambda f: f(), {method})
def main():
    f, before = {method}, Held.in_class()
    with ThreadPoolExecutor(2) as pool: print(*[t.result() for t in [pool.submit(f) for _ in range(4)]])
    with ThreadPoolExecutor(2) as pool: print(*pool.map(lambda f: f(), [f] * 4))
functions = {{
    "attribute": lambda: named.f(), "class": lambda: Held.in_class(), "slot": lambda: held.slot(),
    "list": lambda: listed[0](), "tuple": lambda: in_tuple[1][0](), "default": by_default, "keyword": by_keyword,
    "closure": make({method}), "partial": partial, "argument of a partial": of_partial,
}}
main()
print(*ThreadPoolExecutor(2).map(lambda _: {{name: call() for name, call in functions.items()}}, range(2)))
print(*ThreadPoolExecutor(2).map(lambda _: {{name: {method}() for name in functions}}, range(2)))
"""


@pytest.mark.parametrize(("library", "method"), [("", "random.random"), ("import numpy", "numpy.random.rand")])
def test_a_method_that_was_held_before_the_first_task_follows(output, library: str, method: str) -> None:
    if library:
        pytest.importorskip("numpy")
    code = HELD.format(library=library, method=method)
    drawn = output(code).splitlines()
    assert drawn == output(code).splitlines()
    held = "{name: call() for name, call in functions.items()}"
    straight = code.replace(held, f"{{name: {method}() for name in functions}}")
    assert drawn == output(straight).splitlines()
    assert all(len(set(line.split())) == 4 for line in drawn[:2])


@pytest.mark.parametrize("library", ["random", "numpy"])
def test_a_library_that_a_task_imports_first_is_seeded_for_the_process(output, library: str) -> None:
    pytest.importorskip(library)
    code = f"""
from concurrent.futures import ThreadPoolExecutor
def draw(_):
    import {library}
    return ({{"random": lambda: {library}.random(), "numpy": lambda: {library}.random.rand()}})[{library!r}]()
{{pool}}
print(draw(0))"""
    pool = code.replace("{pool}", "print(*ThreadPoolExecutor(4).map(draw, range(8)))")
    alone = output(code.replace("{pool}", ""))
    assert output(pool) == output(pool)
    assert len(set(output(pool).split())) == 9
    assert output(pool).splitlines()[1] == alone.strip()


SEEDED = """
import random
from concurrent.futures import ThreadPoolExecutor
{parent}
def task(number):
    {task}
    return random.random()
with ThreadPoolExecutor(2{initializer}) as pool:
    print(*pool.map(task, range(4)))
{after}
"""


def seeded(parent: str = "", task: str = "pass", initializer: str = "", after: str = "") -> str:
    return SEEDED.format(parent=parent, task=task, initializer=initializer, after=after)


@pytest.mark.parametrize(
    "first",
    [
        {"parent": "random.seed(1)"},
        {"parent": "random.setstate(random.Random(1).getstate())"},
        {"initializer": ", initializer=random.seed, initargs=(1,)"},
    ],
)
def test_a_seed_that_the_user_sets_before_the_tasks_goes_into_theirs(output, first: dict[str, str]) -> None:
    second = {name: text.replace("1", "2") for name, text in first.items()}
    assert output(seeded(**first)) == output(seeded(**first))
    assert len({output(code) for code in (seeded(**first), seeded(**second), seeded())}) == 3


def test_a_seed_that_the_user_sets_in_a_task_wins_and_stays_there(output) -> None:
    code = seeded(parent="random.seed(9)", task="random.seed(number)", after="print(random.random())")
    assert output(code) == output(code, SEEDBED_SEED="7")
    assert output(code).splitlines()[1:] == output("import random; random.seed(9); print(random.random())").splitlines()
    partly = seeded(task="if number % 2: random.seed(number)")
    drawn, unseeded = output(partly).split(), output(seeded()).split()
    assert drawn[::2] == unseeded[::2]
    assert drawn[1::2] != unseeded[1::2]


def test_outside_the_tasks_the_generators_go_on_as_if_there_had_been_no_pool(output) -> None:
    numpy = pytest.importorskip("numpy") and "import numpy; random.numpy = numpy.random.rand"
    draw = "print(random.random(), random.gauss(0, 1), random.getstate()[1][:3], random.numpy())"
    code = f"""
import copy, pickle, random
from concurrent.futures import ThreadPoolExecutor
{numpy}
random.seed(3); random.gauss(0, 1); numpy.random.seed(3); numpy.random.normal()
{{pool}}
{draw}
print(numpy.random.normal(), numpy.random.get_state()[1][:3])
print(pickle.loads(pickle.dumps(random._inst)).random(), copy.deepcopy(random._inst).random())
print(copy.deepcopy(numpy.random.mtrand._rand).rand(), isinstance(numpy.random.mtrand._rand, numpy.random.RandomState))
numpy.random.seed(4); state = numpy.random.get_state(); a = numpy.random.rand(); numpy.random.set_state(state)
print(a == numpy.random.rand(), a)
"""
    pool = (
        "with ThreadPoolExecutor(2) as pool: list(pool.map(lambda _: (random.gauss(0, 1), numpy.random.rand()), '12'))"
    )
    assert (
        output(code.format(pool=pool))
        == output(code.format(pool=""))
        == output(code.format(pool=""), SEEDBED_MODE="off")
    )


def test_a_task_that_fails_or_forks_leaves_its_thread_as_it_was(output) -> None:
    code = """
import os, random
from concurrent.futures import ThreadPoolExecutor
from seedbed import lineage
def fail(_):
    try: raise KeyError(1)
    finally: random.random()
def fork(_):
    child = os.fork()
    if not child:
        os.write(1, f"{lineage.path} {random.random()}\\n".encode())
        os._exit(0)
    os.waitpid(child, 0)
pool = ThreadPoolExecutor(2)
for _ in range(2):
    try: list(pool.map(fail, range(2)))
    except KeyError as error: print(repr(error), flush=True)
for _ in range(2): pool.submit(fork, 0).result()
print(repr(lineage.place()), lineage.thread.__dict__, *pool.map(lambda _: random.random(), range(2)))
"""
    drawn = output(code)
    assert drawn == output(code)
    assert "'' {}" in drawn
    forked = [line.split() for line in drawn.splitlines() if "/f" in line]
    assert [place for place, _ in forked] == ["/t1.5/f1", "/t1.6/f1"]
    assert forked[0][1] != forked[1][1]


def test_a_pool_of_one_thread_stays_as_it_is(output) -> None:
    code = """
import random
from concurrent.futures import ThreadPoolExecutor
random.seed(1)
with ThreadPoolExecutor(1) as pool: print(*pool.map(lambda _: random.random(), range(3)))"""
    assert output(code) == output(code, SEEDBED_MODE="off")


def test_programs_without_pools_of_threads_keep_pythons_own_functions(output) -> None:
    code = "import random; print(type(random.random), type(random._inst) is random.Random)"
    assert output(code) == output(code, SEEDBED_MODE="off")
