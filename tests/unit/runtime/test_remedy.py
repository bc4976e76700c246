"""An error that mode strict causes ends with the operation and with what helps; any other error ends as it did."""

import pytest
from seedbed import remedy

TORCH = """
class Flags: pass
random, backends, utils = Flags(), Flags(), Flags()
backends.cudnn, backends.mkldnn, utils.deterministic = Flags(), Flags(), Flags()
manual_seed = set_deterministic_debug_mode = lambda *_, **__: None
def initial_seed(): return 42
def seed(): pass
def put_(): raise RuntimeError(
    "put_ does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'.")
"""
SAID = (
    "seedbed: mode strict refuses put_, which has no deterministic implementation: SEEDBED_MODE=warn runs it and only"
)


@pytest.fixture(autouse=True)
def stand_in(install) -> None:
    install({"torch.py": TORCH})


CAUGHT = {
    "in the main thread": "torch.put_()",
    "in another thread": "import threading as t; work = t.Thread(target=torch.put_); work.start(); work.join()",
    "behind another": """
try: torch.put_()
except RuntimeError as error: raise ValueError("the training failed") from error""",
    "in a group": """
try: torch.put_()
except RuntimeError as error: raise ExceptionGroup("two", [ValueError("mine"), error]) from None""",
    "with an excepthook of the user's": """
import sys
sys.excepthook = lambda *_: print("mine")
torch.put_()""",
}


@pytest.mark.parametrize("name", CAUGHT)
def test_the_last_line_names_the_operation_and_what_helps(run, name: str) -> None:
    done = run(f"import torch\n{CAUGHT[name]}")
    assert done.stderr.splitlines()[-1].startswith(SAID)
    assert done.stderr.count("seedbed:") == 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_says_it_itself(run, method: str) -> None:
    code = f"""
import multiprocessing.util, torch
def work(): torch.put_()
if __name__ == "__main__":
    child = multiprocessing.get_context("{method}").Process(target=work)
    child.start(); child.join()"""
    assert run(code).stderr.count(SAID) == 1


def test_hooks_of_the_users_still_hear_of_it(run) -> None:
    code = """
import sys, threading
sys.excepthook = lambda *_: print("main")
threading.excepthook = lambda arguments: print("thread", arguments.exc_type.__name__)
import torch
thread = threading.Thread(target=torch.put_); thread.start(); thread.join()
torch.put_()"""
    done = run(code)
    assert (done.returncode, done.stdout) == (1, "thread RuntimeError\nmain\n")
    assert done.stderr.splitlines()[-1].startswith(SAID)


def test_in_a_notebook_it_comes_after_the_cell_and_not_at_the_end(run, install) -> None:
    install(
        {
            "IPython.py": """
class shell:
    class events:
        register = lambda name, call: registered.append((name, call))
registered = []
get_ipython = lambda: shell
"""
        }
    )
    code = """
import IPython, torch, types, sys
((name, call),) = IPython.registered
try: torch.put_()
except RuntimeError as error: call(types.SimpleNamespace(error_in_exec=error))
call(types.SimpleNamespace(error_in_exec=None))
print(name)
raise RuntimeError("put_ does not have a deterministic implementation")"""
    done = run(code)
    assert (done.stdout, done.stderr.count("seedbed:")) == ("post_run_cell\n", 1)
    assert done.stderr.startswith(SAID)


SILENT = {
    "the script handles it": "try: torch.put_()\nexcept RuntimeError: raise SystemExit(1)",
    "it is another error": "raise RuntimeError('the deterministic option is missing')",
    "it is a wrong argument": "raise TypeError('use_deterministic_algorithms: torch.use_deterministic_algorithms')",
    "nothing is raised": "pass",
}


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_said_where_the_mode_is_not_to_blame(run, name: str) -> None:
    assert "seedbed:" not in run(f"import torch\n{SILENT[name]}").stderr


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_nothing_is_said_in_a_mode_that_refuses_nothing(run, mode: str) -> None:
    done = run("import torch; torch.put_()", SEEDBED_MODE=mode)
    assert (done.returncode, "seedbed:" in done.stderr) == (1, False)


@pytest.mark.parametrize(
    "text, named",
    [
        (
            "max_unpooling2d_forward_out does not have a deterministic implementation, but",
            "max_unpooling2d_forward_out",
        ),
        ("GPU MaxPool gradient ops do not yet have a deterministic XLA implementation.", "GPU MaxPool gradient ops"),
        (
            "Deterministic GPU implementation of unsorted segment reduction op not available.",
            "unsorted segment reduction op",
        ),
        (
            "A deterministic GPU implementation of fused batch-norm backprop, when training is disabled, "
            "is not currently available.",
            "fused batch-norm backprop",
        ),
        ("A deterministic GPU implementation of AdjustContrastv2 is not currently available.", "AdjustContrastv2"),
        ("Determinism is not yet supported in GPU implementation of DenseBincount.", "DenseBincount"),
        ("Determinism is not yet supported for SVD of matrices with at least one side < 17", "SVD of matrices"),
        ("The GPU implementation of SoftmaxX that would have been executed is not deterministic. Note", "SoftmaxX"),
        (
            '"from_non_deterministic_state" cannot be called when determinism is enabled.',
            "from_non_deterministic_state",
        ),
        ("Deterministic behavior was enabled with X\n set CUBLAS_WORKSPACE_CONFIG=:4096:8", "CUBLAS_WORKSPACE_CONFIG"),
        ("Random ops require a seed to be set when determinism is enabled.", "Random ops"),
        ("When determinism is enabled, random ops must have a seed specified.", "random ops"),
        ("NVTE_ALLOW_NONDETERMINISTIC_ALGO=0 leaves no backend", "an operation"),
        (
            "Deterministic backward for flex_attention with block_mask and BACKEND='FLASH' requires SM100+ (compute",
            "flex_attention",
        ),
    ],
)
def test_what_the_frameworks_say_is_understood(text: str, named: str) -> None:
    """As in torch 2.7.1 and 2.14.1 (aten/src/ATen/Context.cpp) and TensorFlow 2.20 (strings of its libraries)."""
    line = remedy.advice(RuntimeError(text))
    assert line and named in line and "SEEDBED_MODE=warn" in line


def test_what_would_time_kernels_has_its_own_advice() -> None:
    """Mode warn would refuse it too. As in torch 2.14.1, _inductor/runtime/benchmarking.py."""
    line = remedy.advice(RuntimeError("In the deterministic mode of Inductor, we will avoid those\n    benchmarkings"))
    assert "TORCHINDUCTOR_BENCHMARK_FUSION" in line
    assert "SEEDBED_MODE=off" in line and "SEEDBED_MODE=warn" not in line


def test_the_operation_is_the_name_alone_where_other_words_precede_it() -> None:
    """torch.compile quotes the error in one of its own."""
    line = remedy.advice(RuntimeError('got RuntimeError("aten::pool_out does not have a deterministic implementation'))
    assert line.startswith("mode strict refuses aten::pool_out, which")


def test_a_raw_operation_without_a_seed_has_its_own_advice() -> None:
    assert "pass seed= and seed2=" in remedy.advice(RuntimeError("random ops must have a seed specified."))
