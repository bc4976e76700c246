"""What is called on each framework, by stand-ins that print their calls; the images' tests have the real ones."""

import pytest

TORCH = """
class Flags: pass
class Seeded:
    def __init__(self, seed): self.seed = seed
    def initial_seed(self): return self.seed
def manual_seed(seed):
    global initial_seed
    print("manual_seed", seed)
    initial_seed = Seeded(seed).initial_seed
    return Seeded(seed)
def seed(): raise AssertionError("asks the operating system")
def set_deterministic_debug_mode(mode): print("algorithms", mode)
def use_deterministic_algorithms(*_, **__): raise AssertionError("imports the compiler")
class cuda:
    def __getattr__(self, name): raise AssertionError("touches CUDA")
cuda = cuda()
class ones:
    def __init__(self, size): self.size = size
    def sqrt(self): print("one root") if self.size == 1 else None
random, backends, utils = Flags(), Flags(), Flags()
backends.cudnn, backends.mkldnn, utils.deterministic = Flags(), Flags(), Flags()
"""
FLAGS = """
import torch
print(vars(torch.backends.cudnn), vars(torch.backends.mkldnn), vars(torch.utils.deterministic))"""

TENSORFLOW = {
    "tensorflow/__init__.py": """
from tensorflow import nn, raw_ops
class Calls:
    def __init__(self, **calls): self.__dict__ |= calls
random = Calls(set_seed=lambda seed: print("set_seed", seed), experimental=Calls())
config = Calls(experimental=Calls(enable_op_determinism=lambda: print("deterministic ops")))
""",
    "tensorflow/python/__init__.py": "",
    "tensorflow/python/eager/__init__.py": "",
    "tensorflow/python/eager/context.py": "global_seed = lambda: 42",
    "tensorflow/python/framework/__init__.py": "",
    "tensorflow/python/framework/ops.py": """
class Graph:
    _seed = None
    @property
    def seed(self): return self._seed
    @seed.setter
    def seed(self, seed): self._seed = seed
class FuncGraph(Graph):
    def __init__(self): self.seed = 42
""",
    "tensorflow/python/framework/random_seed.py": """
drawn = 0
def get_seed(seed):
    global drawn
    drawn += 1
    return 42, drawn
""",
    "tensorflow/nn.py": """
def fractional_avg_pool(value, seed=0): return f"{value} {seed}"
""",
    "tensorflow/raw_ops.py": """
def FractionalAvgPool(*, value, deterministic=False, seed=0, seed2=0): return f"{value} {deterministic} {seed} {seed2}"
""",
    "tensorflow/python/ops/__init__.py": "",
    "tensorflow/python/ops/stateful_random_ops.py": """
global_generator = None
class Generator:
    from_seed = staticmethod(lambda seed: f"generator {seed}")
def set_global_generator(generator):
    global global_generator
    global_generator = generator
def get_global_generator():
    assert global_generator, "refuses to make one under op determinism"
    return global_generator
""",
}


@pytest.fixture(autouse=True)
def stand_ins(install) -> None:
    install({"torch/__init__.py": TORCH, **TENSORFLOW})


def test_torch_is_seeded_and_strict_without_touching_cuda(output) -> None:
    assert output("import torch") == "manual_seed 42\nalgorithms error\none root\n"


def test_torch_in_warn_only_warns(output) -> None:
    warned = output("import torch", SEEDBED_MODE="warn", SEEDBED_SEED="7")
    assert warned == "manual_seed 7\nalgorithms warn\none root\n"


def test_torch_in_off_is_left_alone(output) -> None:
    assert output(FLAGS, SEEDBED_MODE="off") == "{} {} {}\n"


def test_torchs_flags(output) -> None:
    flags = "{'deterministic': True, 'benchmark': False} {'deterministic': True} {'fill_uninitialized_memory': "
    assert output(FLAGS).endswith(flags + "False}\n")
    assert output(FLAGS, SEEDBED_FILL_UNINITIALIZED="1").endswith(flags + "True}\n")


def test_torch_seed_follows_from_the_seed(output) -> None:
    code = "import torch; print(torch.seed(), torch.random.seed())"
    assert output(code) == output(code)
    assert output(code) != output(code, SEEDBED_SEED="7")


def test_ranks_can_have_seeds_of_their_own(output) -> None:
    assert output("import torch", RANK="3").startswith("manual_seed 42\n")
    assert output("import torch", RANK="3", SEEDBED_RANK_OFFSET="1").startswith("manual_seed 45\n")


def test_tensorflow_is_seeded_and_strict(output) -> None:
    assert output("import tensorflow") == "set_seed 42\ndeterministic ops\n"
    assert output("import tensorflow", SEEDBED_MODE="off") == ""


def test_tensorflow_in_warn_is_seeded_only_and_its_variable_is_gone_in_time(output) -> None:
    code = "import tensorflow, os; print(os.environ.get('TF_DETERMINISTIC_OPS'))"
    assert output(code, SEEDBED_MODE="warn", TF_DETERMINISTIC_OPS="1") == "set_seed 42\nNone\n"
    assert output(code, TF_DETERMINISTIC_OPS="1").endswith("\n1\n")


def test_tensorflows_global_generator_is_made_on_demand(output) -> None:
    code = """
import tensorflow
from tensorflow.python.ops import stateful_random_ops as ops
print(ops.global_generator, tensorflow.random.get_global_generator(), ops.get_global_generator())"""
    assert output(code).splitlines()[-1] == "None generator 42 generator 42"


def test_tensorflows_global_generator_may_be_the_users_own(output) -> None:
    code = """
import tensorflow
from tensorflow.python.ops import stateful_random_ops as ops
ops.set_global_generator("theirs")
print(tensorflow.random.get_global_generator())"""
    assert output(code).splitlines()[-1] == "theirs"


POOLING = """
import tensorflow
print(tensorflow.nn.fractional_avg_pool("a"), tensorflow.nn.fractional_avg_pool("b", 0))
print(tensorflow.nn.fractional_avg_pool("c", seed=7), tensorflow.raw_ops.FractionalAvgPool(value="d", seed2=8))
print(tensorflow.raw_ops.FractionalAvgPool(value="e"))"""


def test_functions_for_which_0_is_a_random_seed_get_tensorflows_derived_one(output) -> None:
    assert output(POOLING).splitlines()[-3:] == ["a 1 b 2", "c 7 d False 0 8", "e True 42 3"]
    assert output(POOLING, SEEDBED_MODE="off").splitlines()[-3:] == ["a 0 b 0", "c 7 d False 0 8", "e False 0 0"]


GRAPHS = """
import tensorflow
from tensorflow.python.framework.ops import FuncGraph, Graph
graphs = [Graph() for _ in range(3)]
FuncGraph().seed
mine, unseeded = Graph(), Graph()
mine.seed, unseeded.seed = 7, None
print(*(graph.seed for graph in [mine, unseeded, *graphs, graphs[0]]))"""


def test_graphs_of_tensorflow_1_have_seeds_that_differ_and_repeat(output) -> None:
    mine, unseeded, first, second, third, again = output(GRAPHS).split()[-6:]
    assert (mine, unseeded, first, again) == ("7", "None", "42", "42")
    assert len({first, second, third}) == 3
    assert output(GRAPHS) == output(GRAPHS)
    assert output(GRAPHS, SEEDBED_SEED="7").split()[-3:-1] != [second, third]


def test_in_off_graphs_of_tensorflow_1_have_no_seed(output) -> None:
    assert output(GRAPHS, SEEDBED_MODE="off").split()[-4:] == ["None"] * 4


WORKER = {
    "torch/__init__.py": TORCH + "\nimport torch.utils.data._utils.worker",
    "torch/utils/__init__.py": "class deterministic: pass",
    "torch/utils/data/__init__.py": "",
    "torch/utils/data/_utils/__init__.py": "",
    "torch/utils/data/_utils/worker.py": """
import os
def _worker_loop(queue):
    queue.put(os.getpgrp() == os.getpid())
""",
}
START_WORKER = """
import multiprocessing
import torch.utils.data._utils.worker as worker
if __name__ == "__main__":
    context = multiprocessing.get_context("METHOD")
    queue = context.Queue()
    context.Process(target=worker._worker_loop, args=(queue,)).start()
    print("own group", queue.get())
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("mode, own", [("strict", True), ("warn", True), ("off", False)])
def test_a_dataloaders_worker_has_a_process_group_of_its_own(
    install, output, method: str, mode: str, own: bool
) -> None:
    """A signal to the training's group does not reach it, unless in mode off, where everything is as torch has it."""
    install(WORKER)
    assert f"own group {own}\n" in output(START_WORKER.replace("METHOD", method), SEEDBED_MODE=mode)
