"""Each row of the table of settings in the images: what it does, and that without the layer it is not done."""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from seedbed.environment import concerns
from seedbed.settings import CALLS, VARIABLES

from builder.engine.client import Running
from builder.image.contents import ENTRYPOINT
from tests.image.conftest import IMAGES

ROWS = {row.name: row for row in (*VARIABLES, *CALLS)}
LIBRARIES = {"pytorch": ("torch",), "tensorflow": ("tensorflow",)}
OFF = {"SEEDBED_MODE": "off"}

TORCH = "import torch\n"
TENSORFLOW = "import tensorflow as tf\n"
MKL = "import ctypes\nprint(ctypes.CDLL(torch.__path__[0] + '/lib/libtorch_cpu.so').mkl_serv_get_dynamic())"
# MKL's own variable, which its function reads first: the kind of processor to take vector kernels for; -1: not chosen.
VECTOR_KERNELS = """
import ctypes
function = ctypes.CDLL(torch.__path__[0] + '/lib/libtorch_cpu.so').mkl_vml_serv_cpu_detect
address = ctypes.cast(function, ctypes.c_void_p).value
opcode, distance = ctypes.string_at(address, 2), ctypes.c_int.from_address(address + 2).value
assert opcode == bytes([0x8B, 0x05])
print(ctypes.c_int.from_address(address + 6 + distance).value != -1)
"""
REFUSED = """
try: {}
except RuntimeError as error: print("determinis" in str(error))
else: print("done")
"""

# Prints something random: the same in every run, and without the layer something else each time.
REPEATS = {
    "PYTHONHASHSEED": "print({chr(letter) for letter in range(97, 123)})",
    "random.seed": "import random; print(random.random())",
    "random.Random()": "from random import Random; print(Random().random())",
    "numpy.random.seed": "import numpy; print(numpy.random.rand())",
    "numpy.random.default_rng()": "import numpy; print(numpy.random.default_rng().random())",
    "torch.manual_seed": TORCH + "print(torch.rand(2))",
    "torch.seed()": TORCH + "print(torch.seed())",
    "tensorflow.random.set_seed": TENSORFLOW + "print(tf.random.normal([2]), tf.random.uniform([2]))",
    "tensorflow.random.get_global_generator": TENSORFLOW + "print(tf.random.get_global_generator().normal([2]))",
    "tensorflow.Graph.seed": TENSORFLOW
    + """
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    print(session.run(tf.random.normal([2])))""",
    "multiprocessing.Process.start": """
import multiprocessing, random
def draw(): print(random.random(), flush=True)
if __name__ == "__main__":
    for _ in range(2):
        process = multiprocessing.get_context("spawn").Process(target=draw)
        process.start()
        process.join()""",
    "subprocess.Popen": """
import subprocess, sys
command = [sys.executable, "-c", "import random; print(random.random())"]
programs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
drawn = [program.communicate()[0] for program in programs]
assert len(set(drawn)) == 2
print(drawn)""",
    "multiprocessing.Pool": """
import multiprocessing, os, random, time
def draw(_):
    time.sleep(os.urandom(1)[0] / 5000)  # so that each run gives the tasks to other workers
    return random.random()
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        print(pool.map(draw, range(8), chunksize=1))""",
}

# Prints what a library makes of it: with the layer, and without. Of the two, only torch has MKL.
ANSWERS = {
    "MKL_DYNAMIC": (TORCH + MKL, "0", "1"),
    "TORCHINDUCTOR_SHAPE_PADDING": ("from torch._inductor import config; print(config.shape_padding)", "False", "True"),
    "TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK": (
        "from torch._inductor import config; print(config.dynamic_scale_rblock)",
        "False",
        "True",
    ),
    "torch.use_deterministic_algorithms": (
        TORCH + REFUSED.format("torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))"),
        "True",
        "done",
    ),
    "torch.backends.cudnn.deterministic": (TORCH + "print(torch.backends.cudnn.deterministic)", "True", "False"),
    "torch.backends.mkldnn.deterministic": (TORCH + "print(torch.backends.mkldnn.deterministic)", "True", "False"),
    "torch.sqrt": (TORCH + VECTOR_KERNELS, "True", "False"),
    "torch.utils.deterministic.fill_uninitialized_memory": (
        TORCH + "torch.use_deterministic_algorithms(True); print(torch.empty(1000).isnan().all().item())",
        "False",
        "True",
    ),
    "tensorflow.config.experimental.enable_op_determinism": (
        TENSORFLOW + REFUSED.format("tf.random.Generator.from_non_deterministic_state()"),
        "True",
        "done",
    ),
}

# Prints how many threads there are, for a container with one CPU.
THREADS = {
    "OMP_NUM_THREADS": TORCH + "print(torch.get_num_threads())",
    "TF_NUM_INTRAOP_THREADS": TENSORFLOW + "tf.ones(2) + 1; import os; print(len(os.listdir('/proc/self/task')))",
}

# What only a GPU, or a library that needs one, makes something of. That they arrive is tested for all variables.
NEED_GPU = {
    "CUBLAS_WORKSPACE_CONFIG": "cuBLAS reads it when it starts, and torch asks for it before cuBLAS multiplies",
    "NCCL_ALGO": "NCCL runs between GPUs only",
    "NCCL_NVLS_ENABLE": "NCCL runs between GPUs only",
    "FLASH_ATTENTION_DETERMINISTIC": "the flash-attn package has kernels for GPUs only",
    "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "Transformer Engine has kernels for GPUs only",
    "torch.backends.cudnn.benchmark": "cuDNN runs on GPUs only; torch's default is False too",
}
ELSEWHERE = {
    "OMP_DYNAMIC": "GNU's OpenMP, which both images have, keeps to FALSE by itself: tested below with the opposite",
    "TF_DETERMINISTIC_OPS": "tested below, without the hook, which makes the call of the same effect",
    "NPROC": "neither image has JAX: tested in images/jax/smoke/threads.py",
    "XLA_FLAGS": "its flag is for GPUs only; that it joins flags of your own is tested in tests/unit",
    "TORCHINDUCTOR_DETERMINISTIC": "not every torch knows it: tested below",
}


def cases(rows: dict[str, str] | dict[str, tuple[str, str, str]]) -> list:
    """Each row, in each image that has what its code imports."""
    return [
        pytest.param(name, row, id=f"{name}-{row}")
        for name in IMAGES
        for row, shown in rows.items()
        if not any(library in str(shown) for other in IMAGES if other != name for library in LIBRARIES[other])
    ]


@pytest.fixture(scope="module")
def container(record_of, docker) -> Iterator[Callable[[str], Running]]:
    """One container of each image that a test is for, to run code in."""
    with ExitStack() as stack:
        idle = ["sleep", "infinity"]
        yield cache(lambda name: stack.enter_context(docker.started(record_of(name).digest, idle)))


@pytest.fixture
def output(container) -> Callable[..., str]:
    """What a fresh Python prints, behind the entrypoint, with these variables; it has to succeed."""

    def output(name: str, code: str, *flags: str, **variables: str) -> str:
        # In a file, which the processes that multiprocessing spawns read once more.
        python = f"{ENTRYPOINT[-1]} env python {' '.join(flags)}"  # env: the entrypoint refuses python -S
        script = f"printf %s {shlex.quote(code)} >/tmp/snippet.py; exec {python} /tmp/snippet.py"
        done = container(name).run(["sh", "-c", script], environment=variables)
        assert done.status == 0, done.stderr
        return done.stdout

    return output


def test_every_row_is_shown_here_or_says_why_it_cannot_be() -> None:
    shown = [*REPEATS, *ANSWERS, *THREADS, *NEED_GPU, *ELSEWHERE]
    assert sorted(shown) == sorted(ROWS)


@pytest.mark.parametrize("name, row", cases(REPEATS))
def test_it_repeats_and_follows_the_seed_and_without_the_layer_it_varies(output, name: str, row: str) -> None:
    code = REPEATS[row]
    drawn = output(name, code)
    assert drawn == output(name, code)
    assert drawn != output(name, code, SEEDBED_SEED="7")
    assert output(name, code, **OFF) != output(name, code, **OFF)


@pytest.mark.parametrize("name, row", cases(ANSWERS))
def test_the_library_answers_as_the_row_wants_and_without_the_layer_does_not(output, name: str, row: str) -> None:
    code, with_layer, without = ANSWERS[row]
    assert output(name, code).strip() == with_layer
    assert output(name, code, **OFF).strip() == without


@pytest.mark.parametrize("name, row", cases(THREADS))
def test_a_container_with_one_cpu_has_threads_for_one(record_of, docker, name: str, row: str) -> None:
    if docker.client.info()["NCPU"] < 2:
        pytest.skip("this machine has one CPU, so a container cannot have fewer")
    digest = record_of(name).digest
    with_layer, without = (
        int(docker.run(digest, ["python", "-c", THREADS[row]], environment=variables, nano_cpus=10**9).stdout)
        for variables in ({}, OFF)
    )
    assert with_layer < without


def test_the_number_of_threads_decides_the_bits(output) -> None:
    code = TORCH + "print(torch.arange(1_000_000).sin().sum().item().hex())"
    assert output("pytorch", code, OMP_NUM_THREADS="1") != output("pytorch", code, OMP_NUM_THREADS="2")


@pytest.mark.parametrize("name", IMAGES)
def test_every_variable_arrives_and_mode_off_takes_it_back(output, name: str) -> None:
    (library,) = LIBRARIES[name]
    code = f"import {library}, json, os; print(json.dumps(dict(os.environ)))"
    strict, off = (json.loads(output(name, code, **variables)) for variables in ({}, OFF))
    ours = [row for row in VARIABLES if concerns(row, LIBRARIES[name])]
    assert len(ours) > 5
    for row in ours:
        wanted = row.values["strict"].format(seed=42, threads=strict["OMP_NUM_THREADS"])
        assert strict[row.name] == wanted
        assert row.name not in off


@pytest.mark.parametrize("name", IMAGES)
def test_openmp_keeps_its_number_of_threads_unless_the_user_has_it_otherwise(output, name: str) -> None:
    code = "import ctypes; print(ctypes.CDLL('libgomp.so.1').omp_get_dynamic())"
    assert output(name, code) == "0\n"
    assert output(name, code, OMP_DYNAMIC="TRUE") == "1\n"


def test_tensorflow_is_deterministic_by_its_variable_alone(output) -> None:
    """-S: without the hook, which makes a call of the same effect."""
    code = """
import sys
sys.path.append("/opt/venv/lib/python3.11/site-packages")
from tensorflow.python.framework import config
print(config.is_op_determinism_enabled())"""
    assert output("tensorflow", code, "-S") == "True\n"
    assert output("tensorflow", code, "-S", **OFF) == "False\n"


COMPILER = """
import threading
from torch._inductor import config
threading.Thread(target=lambda: print(getattr(config, "deterministic", "unknown"))).start()
"""


def test_torch_compile_is_deterministic_in_every_thread_and_info_says_so_if_it_can_be(output, container) -> None:
    """torch keeps this setting for each thread: what use_deterministic_algorithms sets, other threads do not see."""
    found = output("pytorch", COMPILER).strip()
    told = container("pytorch").run([ENTRYPOINT[-1], "seedbed", "info"]).stdout
    assert ("TORCHINDUCTOR_DETERMINISTIC" in told) == (found != "unknown")
    if found == "unknown":
        pytest.skip("this torch.compile has no deterministic mode")
    assert found == "True"
    by_torch_alone = "import torch; torch.use_deterministic_algorithms(True)\n" + COMPILER
    assert output("pytorch", by_torch_alone, **OFF).strip() == "False"


def test_torch_fills_fresh_memory_where_one_asks_for_it(output) -> None:
    code = TORCH + "print(torch.empty(1000).isnan().all().item())"
    assert output("pytorch", code, SEEDBED_FILL_UNINITIALIZED="1") == "True\n"
    assert output("pytorch", code) == "False\n"


def test_in_mode_warn_torch_warns_where_strict_refuses(output) -> None:
    code = "import warnings; warnings.simplefilter('error')\n" + TORCH
    code += "try: torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))\nexcept UserWarning: print('warned')"
    assert output("pytorch", code, SEEDBED_MODE="warn") == "warned\n"
