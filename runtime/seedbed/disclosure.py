"""Which environment variables a record or journal shows, and what it holds of the others: one rule for both.

A variable is shown if its name is listed here as one that bears on numbers. Any other may be a password: of its value
only a keyed hash is kept (HMAC, RFC 2104), so that two runs under one key can be compared. Each command of `seedbed`
makes a random key and writes it down nowhere, so that not even a short value can be found from its hash.
"""

import hashlib
import hmac
import os
from functools import cache

from seedbed.settings import CONTRARY, OF_RANKS, OPTIONS, PORTABLE, VARIABLES

KEY = "SEEDBED_DISCLOSURE_KEY"
HIDDEN = "hidden:"
SHOWN = {
    *(setting.name for setting in VARIABLES),
    *(*OPTIONS, *OF_RANKS, *CONTRARY, *PORTABLE),
    *("PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONMALLOC", "PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONNOUSERSITE"),
    *("OMP_PROC_BIND", "OMP_PLACES", "OMP_SCHEDULE", "OMP_WAIT_POLICY", "OMP_THREAD_LIMIT", "OMP_MAX_ACTIVE_LEVELS"),
    *("KMP_AFFINITY", "KMP_BLOCKTIME", "KMP_DETERMINISTIC_REDUCTION", "GOMP_CPU_AFFINITY"),
    *("MKL_NUM_THREADS", "MKL_THREADING_LAYER", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
    *("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING"),
    *("CUDA_DEVICE_MAX_CONNECTIONS", "CUBLASLT_WORKSPACE_SIZE", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
    *("NCCL_PROTO", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "NCCL_SHM_DISABLE"),
    *("NCCL_MIN_NCHANNELS", "NCCL_MAX_NCHANNELS"),
    *("NVTE_FUSED_ATTN", "NVTE_FLASH_ATTN", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_JIT", "TORCH_COMPILE_DISABLE"),
    *("PYTORCH_ALLOC_CONF", "PYTORCH_SUM_INNER_TREE", "TORCH_DISABLE_NATIVE_JIT"),
    *("TORCHINDUCTOR_BATCH_INVARIANT", "TORCHINDUCTOR_NUMERICS"),
    *("TORCHDYNAMO_DISABLE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TORCH_BLAS_PREFER_CUBLASLT"),
    *("TF_NUM_INTEROP_THREADS", "TF_XLA_FLAGS", "TF_GPU_THREAD_MODE", "TF_GPU_THREAD_COUNT", "TF_CUDNN_DETERMINISTIC"),
    *("TF_CUDNN_USE_AUTOTUNE", "TF_USE_LEGACY_KERAS", "TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"),
    *("JAX_PLATFORMS", "JAX_ENABLE_X64", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_DISABLE_JIT"),
    *("LANG", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_COLLATE", "TZ"),
}
OF_LAUNCHERS = {  # what they tell ranks beside their numbers: ports, folders and names, made up for each start
    *("MASTER_ADDR", "MASTER_PORT", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_NAME", "ROLE_RANK", "ROLE_WORLD_SIZE"),
    "OMPI_FILE_LOCATION",
    *("SLURM_STEP_ID", "SLURM_STEPID", "SLURM_STEP_LAUNCHER_PORT", "SLURM_SRUN_COMM_PORT", "SLURM_TASK_PID"),
}
PREFIXES_OF_LAUNCHERS = ("TORCHELASTIC_", "OMPI_MCA_orte_", "OMPI_MCA_ess_", "PMIX_")


def disclosed(environ: dict[str, str]) -> dict[str, str]:
    """The variables by name: listed ones in full, of the others what `hidden` keeps, without those of launchers."""
    key = environ.get(KEY, "")
    shown = {name: value for name, value in sorted(environ.items()) if name in SHOWN or not is_of_launcher(name)}
    return {name: value if name in SHOWN else hidden(value, key) for name, value in shown.items()}


def is_of_launcher(name: str) -> bool:
    return name in OF_LAUNCHERS or name.startswith(PREFIXES_OF_LAUNCHERS)


def hidden(value: str, key: str) -> str:
    """`hidden:<which key>:<keyed hash>`, or `hidden:` where there is no key."""
    if not key:
        return HIDDEN
    which = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{HIDDEN}{which}:{hmac.new(key.encode(), os.fsencode(value), 'sha256').hexdigest()[:12]}"


def with_key(environ: dict[str, str]) -> dict[str, str]:
    """The environment for a process that is recorded or traced, with the key of this command."""
    return {**environ, KEY: _key()}


@cache
def _key() -> str:
    return os.urandom(16).hex()


def comparable(a: str, b: str) -> bool:
    """Whether it can be told if two values differ: not where one was hidden under another key, or under none."""
    keys = {value.split(":")[1] for value in (a, b) if value.startswith(HIDDEN)}
    return not keys or (len(keys) == 1 and keys != {""})
