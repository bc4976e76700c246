"""The table is the one source: what is made from it agrees with it."""

import subprocess
import sys
from pathlib import Path

import pytest
from seedbed.environment import baked_environment
from seedbed.settings import CALLS, CONTRARY, GPU, OPTIONS, VARIABLES

ROWS = [pytest.param(row, id=row.name) for row in (*VARIABLES, *CALLS)]


def test_the_entrypoints_table_and_the_docs_are_made_from_it(runtime: Path) -> None:
    done = subprocess.run([sys.executable, runtime / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_name_stands_in_it_twice() -> None:
    names = [*(row.name for row in (*VARIABLES, *CALLS)), *OPTIONS, *CONTRARY]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS)
def test_every_row_says_why_on_what_evidence_and_what_undoes_it(row) -> None:
    assert row.why and row.evidence and row.undone_by


@pytest.mark.parametrize("row", ROWS)
def test_strict_sets_every_row(row) -> None:
    assert row.values["strict"]


def test_an_image_of_each_framework_gets_its_own_variables_and_the_shared_ones() -> None:
    torch, tensorflow = baked_environment(("torch",)), baked_environment(("tensorflow",))
    assert torch.items() & tensorflow.items() == {
        ("SEEDBED_SEED", "42"),
        ("SEEDBED_MODE", "strict"),
        ("PYTHONHASHSEED", "42"),
        ("OMP_DYNAMIC", "FALSE"),
        ("MKL_DYNAMIC", "FALSE"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
        ("NCCL_ALGO", "Ring"),
        ("NCCL_NVLS_ENABLE", "0"),
    }
    assert torch.keys() - tensorflow.keys() == {
        "TORCHINDUCTOR_DETERMINISTIC",
        "TORCHINDUCTOR_SHAPE_PADDING",
        "TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK",
        "FLASH_ATTENTION_DETERMINISTIC",
        "NVTE_ALLOW_NONDETERMINISTIC_ALGO",
    }
    assert tensorflow.keys() - torch.keys() == {"TF_DETERMINISTIC_OPS"}


def test_the_number_of_threads_is_found_and_not_baked() -> None:
    assert not {"OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"} & baked_environment(GPU).keys()


@pytest.mark.parametrize(
    "name", ["TF_CUDNN_DETERMINISTIC", "CUDA_LAUNCH_BLOCKING", "TORCH_USE_DETERMINISTIC_ALGORITHMS", "PYTHONPATH"]
)
def test_what_tutorials_set_to_no_use_is_not_baked(name: str) -> None:
    assert name not in baked_environment(GPU)
