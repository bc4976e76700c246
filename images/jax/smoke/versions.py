"""JAX, Python, CUDA and cuDNN are the locked ones.

JAX 0.5.3 was compiled with CUDA 12.3 and cuDNN 9.1, and runs with any CUDA 12 and cuDNN 9 that is not older.
"""

import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jax
import jaxlib
from jax_cuda12_plugin import _versions as cuda

IMAGE = Path(os.environ.get("SEEDBED_IMAGE_JSON", "/etc/seedbed/image.json"))
# By the wheel's name: the library in it, and what its number counts minor and major versions in.
LOADED = {
    "nvidia-cublas-cu12": ("cublas", 100, 10000),
    "nvidia-cudnn-cu12": ("cudnn", 100, 10000),
    "nvidia-cufft-cu12": ("cufft", 100, 1000),
    "nvidia-cusolver-cu12": ("cusolver", 100, 1000),
    "nvidia-cusparse-cu12": ("cusparse", 100, 1000),
}


def main() -> None:
    image = json.loads(IMAGE.read_text())
    locked = image["versions"]
    compare("Python", image["python"], platform.python_version())
    compare("JAX", locked["jax"], jax.__version__)
    compare("jaxlib", locked["jaxlib"], jaxlib.__version__)
    compare("CUDA as loaded", image["cuda"], dotted(cuda.cuda_runtime_get_version(), 10, 1000))
    not_older("CUDA", cuda.cuda_runtime_build_version(), cuda.cuda_runtime_get_version())
    for package, (library, minor, major) in LOADED.items():
        built, loaded = (getattr(cuda, f"{library}_{which}_version")() for which in ("build", "get"))
        compare(f"{package} as loaded", locked[package], dotted(loaded, minor, major))
        not_older(package, built, loaded)
    compare("ptxas, which XLA runs", locked["nvidia-cuda-nvcc-cu12"], ptxas_version())


def compare(what: str, expected: str, found: str) -> None:
    """End the check unless both versions agree in the parts that both of them give."""
    if any(left != right for left, right in zip(expected.split("."), found.split("."), strict=False)):
        sys.exit(f"{what}: expected {expected}, found {found}")
    print(f"{what:30} {found}")


def not_older(what: str, built: int, loaded: int) -> None:
    """End the check if JAX was compiled with a newer version than it loads."""
    if loaded < built:
        sys.exit(f"{what}: JAX was compiled with {built}, and loads the older {loaded}")


def dotted(packed: int, minor: int, major: int) -> str:
    """12060 with 10 and 1000 is 12.6.0; 90501 with 100 and 10000 is 9.5.1."""
    return f"{packed // major}.{packed % major // minor}.{packed % minor}"


def ptxas_version() -> str:
    (program,) = (file for file in metadata.files("nvidia-cuda-nvcc-cu12") or () if file.name == "ptxas")
    said = subprocess.run([program.locate(), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([0-9.]+)", said)[1]


if __name__ == "__main__":
    main()
