"""Threads that draw from one generator are named by audit; threads that do not race are not."""

import pytest

START = """
import random, threading, time
def start(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads: thread.start()
    return threads
def end(threads):
    for thread in threads: thread.join()
drawn = []
def draw(threads=1):
    for turn in range(1, 4):
        random.random()  # the draw
        time.sleep(0.01)
        drawn.append(turn)
        while len(drawn) < threads * turn: time.sleep(0.001)  # for the other's draw
def draw_in_turns():
    draw(threads=2)
"""
RACES = {
    "two threads": "end(start(draw_in_turns, draw_in_turns))",
    "main thread": "threads = start(draw_in_turns)\ndraw_in_turns()\nend(threads)",
}
IN_ORDER = {
    "one after the other": "end(start(draw)); end(start(draw)); draw()",
    "main waits": "draw(); end(start(draw)); draw()",
    "pool": """
from concurrent.futures import ThreadPoolExecutor
list(ThreadPoolExecutor(3).map(lambda _: draw(), range(6)))""",
    "pool of one": """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
for _ in range(3):
    draw()
    pool.submit(draw).result()""",
    "generators of their own": """
def draw_own():
    generator = random.Random(1)
    for _ in range(3): generator.random(); time.sleep(0.01)
end(start(draw_own, draw_own))""",
}


def named(stderr: str) -> set[str]:
    return {line.split("script.py:")[1].split()[0] for line in stderr.splitlines() if "is a race" in line}


@pytest.mark.parametrize("case", RACES)
def test_the_line_of_a_race_is_named(run, case: str) -> None:
    code = START + RACES[case]
    done = run(code, SEEDBED_AUDIT="1")
    assert done.returncode == 0, done.stderr
    line = next(str(number) for number, text in enumerate(code.splitlines(), start=1) if "# the draw" in text)
    assert named(done.stderr) == {line}
    assert "race" not in run(code).stderr


@pytest.mark.parametrize("case", IN_ORDER)
def test_what_has_an_order_is_not(run, case: str) -> None:
    done = run(START + IN_ORDER[case], SEEDBED_AUDIT="1")
    assert done.returncode == 0, done.stderr
    assert "race" not in done.stderr


def test_numpys_generator_too(run) -> None:
    pytest.importorskip("numpy")
    code = (
        START.replace("random.random()", "numpy.random.rand()").replace("import random", "import numpy")
        + RACES["two threads"]
    )
    assert len(named(run(code, SEEDBED_AUDIT="1").stderr)) == 1


def test_the_generators_that_tasks_get_are_not_the_users(run) -> None:
    pytest.importorskip("numpy")
    code = """
import numpy, random
from concurrent.futures import ThreadPoolExecutor
list(ThreadPoolExecutor(3).map(lambda _: (numpy.random.rand(), random.random()), range(6)))"""
    assert "places to look at: none" in run(code, SEEDBED_AUDIT="1").stderr


OWN = """
import numpy, random, threading
from concurrent.futures import ThreadPoolExecutor
both = threading.Barrier(2)
shared = numpy.random.default_rng(0)
old = numpy.random.RandomState(0)
pythons = random.Random(0)
def task(_):
    DRAW
    both.wait()  # so that neither thread runs all tasks
with ThreadPoolExecutor(2) as pool: list(pool.map(task, range(4)))
print(isinstance(shared, numpy.random.Generator), shared.normal(), shared.spawn(1)[0].random())
print(isinstance(old, numpy.random.RandomState), isinstance(numpy.random.mtrand._rand, numpy.random.RandomState))
print(isinstance(pythons, random.Random), old.normal(), pythons.gauss(0, 1))"""


@pytest.mark.parametrize(
    ("draw", "owner"),
    [
        ("shared.random()", "numpy"),
        ("old.rand()", "numpy"),
        ("pythons.random()", "random"),
        ("pythons.shuffle([1, 2, 3])", "random"),
        ("pythons.choice('ab')", "random"),
        ("numpy.random.default_rng(1).random()", ""),
        ("numpy.random.RandomState(1).rand()", ""),
        ("random.Random(1).random()", ""),
        ("random.SystemRandom().random()", ""),
    ],
)
def test_a_generator_of_the_users_own_that_tasks_share_is_named(run, draw: str, owner: str) -> None:
    pytest.importorskip("numpy")
    code = OWN.replace("DRAW", draw)
    audited = run(code, SEEDBED_AUDIT="1")
    assert audited.returncode == 0, audited.stderr
    races = [line.split("threads share a generator of ")[1] for line in audited.stderr.splitlines() if "race" in line]
    assert [race.split(":")[0] for race in races] == ([owner] if owner else [])
    assert not owner or audited.stdout.splitlines()[1] == run(code).stdout.splitlines()[1]


def test_watching_them_changes_no_draw(run) -> None:
    pytest.importorskip("numpy")
    code = OWN.replace("DRAW", "pass")
    assert run(code, SEEDBED_AUDIT="1").stdout == run(code).stdout != ""


def test_a_shared_generator_of_names_is_not_named(run) -> None:
    """Its first draw is an identifier, so it is left random."""
    code = """
import random, time
from concurrent.futures import ThreadPoolExecutor
names = random.Random()
def task(_):
    names.getrandbits(128)
    time.sleep(0.02)
task(0)
with ThreadPoolExecutor(2) as pool: list(pool.map(task, range(4)))"""
    done = run(code, SEEDBED_AUDIT="1")
    assert done.returncode == 0, done.stderr
    assert "race" not in done.stderr


TORCH = {
    "torch/__init__.py": """
class Flags: pass
random, backends = Flags(), Flags()
backends.cudnn, backends.mkldnn = Flags(), Flags()
from torch import utils
def manual_seed(seed): pass
def initial_seed(): return 42
def seed(): pass
def set_deterministic_debug_mode(mode): pass
def get_deterministic_debug_mode(): return 2
def rand(*size, generator=None): return 0.5
class Tensor: pass
class nn: functional = Flags()
class Generator:
    def initial_seed(self): return 1
    def manual_seed(self, seed): return self
class OfC: __slots__ = ()
default_generator = OfC()
""",
    "torch/utils/__init__.py": "class deterministic: pass",
    "torch/utils/data/__init__.py": "",
    "torch/utils/data/distributed.py": "class DistributedSampler:\n    def __init__(self): pass",
}


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("2", 1),
        ("2, generator=torch.Generator().manual_seed(1)", 0),
        ("2, generator=shared", 1),
        ("2, generator=torch.default_generator", 1),
    ],
)
def test_torchs_generator_is_shared_by_the_tasks_of_a_pool(run, install, arguments: str, lines: int) -> None:
    install(TORCH)
    code = f"""
import threading, torch
from concurrent.futures import ThreadPoolExecutor
both = threading.Barrier(2)
shared = torch.Generator().manual_seed(1)
def task(_):
    torch.rand({arguments})
    both.wait()
with ThreadPoolExecutor(2) as pool: list(pool.map(task, range(4)))"""
    done = run(code, SEEDBED_AUDIT="1")
    assert done.returncode == 0, done.stderr
    assert len(named(done.stderr)) == lines
