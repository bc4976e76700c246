"""`seedbed.state()` holds all that a script must save to draw on after a restart as if it had never stopped."""

import pickle
from pathlib import Path

import pytest

DRAW = """
import os, pickle, random, sys
import numpy as np
import seedbed

bits, twister, own = np.random.default_rng(1), np.random.RandomState(2), random.Random(3)
mine = {"bits": bits, "twister": twister, "own": own}

def draw():
    return [
        random.random(), random.gauss(0, 1), np.random.rand(), np.random.normal(), bits.random(), twister.rand(),
        own.random(), np.random.default_rng().random(), random.Random().random(),
    ]
"""
FORKED = """
def child():
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, repr([random.random(), np.random.rand(), np.random.default_rng().random()]).encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 1000)
"""
SAVE = "random.gauss(0, 1); draw(); open('state', 'wb').write(pickle.dumps(seedbed.state(**mine)))\n"
RESTORE = "seedbed.restore(pickle.load(open('state', 'rb')), **mine)\n"


def test_a_later_process_draws_on_where_the_state_was_saved(output) -> None:
    expected = output(DRAW + SAVE + "print(draw())")
    assert output(DRAW + RESTORE + "print(draw())") == expected


def test_without_restoring_it_draws_other_numbers(output) -> None:
    expected = output(DRAW + SAVE + "print(draw())")
    found = output(DRAW + "print(draw())")
    assert not set(expected.strip("[]\n").split(", ")) & set(found.strip("[]\n").split(", "))


def test_within_one_process_the_numbers_come_again(output) -> None:
    code = DRAW + "kept = seedbed.state(**mine); a, b = draw(), draw(); seedbed.restore(kept, **mine)"
    assert output(f"{code}; print(a == draw(), a == b)") == "True False\n"


def test_forked_children_are_those_that_would_have_come_next(output) -> None:
    expected = output(DRAW + FORKED + "child(); child()\n" + SAVE + "print(child())")
    assert output(DRAW + FORKED + RESTORE + "print(child())") == expected
    assert output(DRAW + FORKED + "print(child())") != expected


POOLED = """
import multiprocessing
def work(_): return random.random(), np.random.rand()
def pooled():
    with multiprocessing.get_context("fork").Pool(2) as pool: return pool.map(work, range(3), chunksize=1)
"""


@pytest.mark.parametrize("seeded", ["", "random.seed(5); np.random.seed(6)\n"])
def test_tasks_of_pools_are_those_that_would_have_come_next(output, seeded: str) -> None:
    expected = output(DRAW + POOLED + seeded + "pooled()\n" + SAVE + "print(pooled())")
    assert output(DRAW + POOLED + RESTORE + "print(pooled())") == expected
    assert output(DRAW + POOLED + "print(pooled())") != expected


def test_it_works_without_the_rest_of_seedbed(output) -> None:
    """In mode off, where generators without a seed stay random."""
    draw = DRAW.replace("np.random.default_rng().random(), random.Random().random(),", "")
    expected = output(draw + SAVE + "print(draw())", SEEDBED_MODE="off")
    assert output(draw + RESTORE + "print(draw())", SEEDBED_MODE="off") == expected
    assert output(draw + RESTORE + "print(draw())") == expected


def test_it_holds_nothing_but_plain_values(output, tmp_path: Path) -> None:
    """Those that torch.load(weights_only=True) takes."""
    output(DRAW + SAVE)

    def kinds(value: object) -> set[type]:
        inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        parts = [kinds(part) for part in inner] if isinstance(inner, list | tuple) else []
        return {type(value)}.union(*parts)

    state = pickle.loads((tmp_path / "state").read_bytes())
    assert kinds(state) <= {dict, list, tuple, str, int, float, bool, type(None)}
    assert state["seedbed"]["streams"].keys() == {"random.Random", "numpy"}


def test_a_library_that_the_script_has_not_come_to_import_is_restored(output) -> None:
    expected = output(DRAW + SAVE + "print(np.random.rand())")
    code = "import pickle, seedbed; state = pickle.load(open('state', 'rb')); state['own'] = {}; seedbed.restore(state)"
    assert output(f"{code}; import numpy; print(numpy.random.rand())") == expected


REFUSED = {
    "state | {'format': 2}": "expected a state of format 1, found format 2: it was saved by another version of Seedbed",
    "{'model': 1}": "expected what seedbed.state() returned, found dict",
    "None": "expected what seedbed.state() returned, found NoneType",
    "state | {'own': {}}": "given to restore() and not to state(); give it to both",
    "state | {'own': state['own'] | {'more': 1}}": "more was given to state() and not to restore(); give it to both",
    "state | {'own': state['own'] | {'own': state['own']['bits']}}": "own: expected a generator of numpy, found random",
    "state | {'own': state['own'] | {'bits': {'kind': 'numpy', 'state': {'bit_generator': 'MT19937'}}}}": (
        "bits: expected a numpy generator that is a MT19937, found a PCG64"
    ),
    "state | {'seedbed': state['seedbed'] | {'seed': 7}}": "seed 7, and this process has 42: set SEEDBED_SEED=7",
    "state | {'torch': {}}": "the state holds torch's generators, and No module named 'torch'",
}


@pytest.mark.parametrize("changed", REFUSED)
def test_a_state_that_does_not_fit_is_refused_in_one_line(output, changed: str) -> None:
    code = f"""
state = seedbed.state(**mine)
before = random.getstate()
try: seedbed.restore({changed}, **mine)
except ValueError as error: print(error)
print(random.getstate() == before)
"""
    refusal, untouched = output(DRAW + code).splitlines()
    assert refusal.startswith("seedbed.restore: ")
    assert refusal.endswith(REFUSED[changed])
    assert untouched == "True"


def test_what_is_no_generator_is_refused(output) -> None:
    code = "import seedbed\ntry: seedbed.state(mine=3)\nexcept ValueError as error: print(error)"
    assert output(code).startswith("seedbed.state: mine: expected a generator of random, numpy, torch")


TORCH = """
class Tensor(list):
    def cpu(self): return self
def get_rng_state(): return Tensor([1])
def set_rng_state(state): print("cpu", state)
class cuda:
    started = True
    def is_initialized(): return cuda.started
    def device_count(): return 1
    def get_rng_state_all(): return [Tensor([2]), Tensor([3])]
    def set_rng_state(state, device): print("cuda", device, state)
"""  # in the place of torch: the tests have none


def test_gpus_that_are_not_here_are_named(output, install) -> None:
    install({"torch.py": TORCH})
    code = """
import torch, seedbed
import random
state, before = seedbed.state(), random.random()
try: seedbed.restore(state)
except ValueError as error: print(error, random.random() != before)
state["torch"]["cuda"].pop(); seedbed.restore(state)
torch.cuda.started = False; print(seedbed.state()["torch"]["cuda"])
"""
    assert output(code, SEEDBED_MODE="off").splitlines() == [
        "seedbed.restore: the state holds generators of 2 GPUs, and 1 are here True",
        "cpu [1]",
        "cuda 0 [2]",
        "[]",
    ]


def test_importing_seedbed_imports_nothing_else(output) -> None:
    code = "import sys; before = set(sys.modules); import seedbed; print(set(sys.modules) - before - {'seedbed'})"
    assert output(code) == "set()\n"
