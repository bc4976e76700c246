"""TensorFlow, Keras, Python, CUDA, cuDNN and the GPUs that TensorFlow names are those of the image.

TensorFlow 2.20.0 was compiled with CUDA 12.5.1 and runs with any CUDA 12 that is not older (NVIDIA calls that minor
version compatibility), so of what it was compiled with, the check compares the major version.
"""

import ctypes
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras
import tensorflow as tf

IMAGE = Path(os.environ.get("SEEDBED_IMAGE_JSON", "/etc/seedbed/image.json"))
LOADED = {
    "nvidia-cublas-cu12": "cublasGetProperty",
    "nvidia-cudnn-cu12": "cudnnGetProperty",
    "nvidia-cufft-cu12": "cufftGetProperty",
    "nvidia-cusolver-cu12": "cusolverGetProperty",
    "nvidia-cusparse-cu12": "cusparseGetProperty",
}


def main() -> None:
    image = json.loads(IMAGE.read_text())
    locked = image["versions"]
    build = tf.sysconfig.get_build_info()
    compare("Python", image["python"], platform.python_version())
    compare("TensorFlow", locked["tensorflow"], tf.__version__)
    compare("Keras", locked["keras"], keras.__version__)
    compare("CUDA as compiled", image["cuda"].partition(".")[0], build["cuda_version"])
    compare("cuDNN as compiled", image["cudnn"], build["cudnn_version"])
    compiled_for(image["gpus"], " ".join(build["cuda_compute_capabilities"]))
    compare("CUDA as loaded", image["cuda"], cuda_as_loaded())
    for package, function in LOADED.items():
        compare(f"{package} as loaded", locked[package], as_loaded(function))
    compare("ptxas, which XLA runs", locked["nvidia-cuda-nvcc-cu12"], ptxas_version())


def compare(what: str, expected: str, found: str) -> None:
    """End the check unless both versions agree in the parts that both of them give."""
    if any(left != right for left, right in zip(expected.split("."), found.split("."), strict=False)):
        sys.exit(f"{what}: expected {expected}, found {found}")
    print(f"{what:30} {found}")


def compiled_for(gpus: list[str], architectures: str) -> None:
    """End the check unless the framework says that it is compiled for each of the image's GPUs, and maybe more.

    `sm_80` is machine code for 8.0; `compute_90` is PTX, for 9.0 and newer ones.
    """
    named = re.sub(r"compute_(\d+)(\d)", r"\1.\2 \1.\2+PTX", re.sub(r"sm_(\d+)(\d)", r"\1.\2", architectures)).split()
    if missing := [gpu for gpu in gpus if gpu not in named]:
        sys.exit(f"GPUs as compiled: expected {', '.join(missing)}, found {architectures}")
    print(f"{'GPUs as compiled':30} {architectures}")


# TensorFlow loads a CUDA library when the first of its functions is called, through functions of the same names in
# its own library. Called there, they show what TensorFlow finds by its own search; without a GPU as well.


def cuda_as_loaded() -> str:
    packed = through_tensorflow("cudaRuntimeGetVersion")  # 12060: 12.6
    return f"{packed // 1000}.{packed % 1000 // 10}"


def as_loaded(function: str) -> str:
    """Major, minor and patch from a `…GetProperty(type, &value)`."""
    return ".".join(str(through_tensorflow(function, number)) for number in range(3))


def through_tensorflow(function: str, *arguments: int) -> int:
    """What a CUDA function, called through TensorFlow, writes through its last pointer."""
    framework = ctypes.CDLL(f"{tf.sysconfig.get_lib()}/libtensorflow_framework.so.2")
    value = ctypes.c_int()
    if status := getattr(framework, function)(*arguments, ctypes.byref(value)):
        sys.exit(f"TensorFlow cannot load the CUDA library of {function} (status {status})")
    return value.value


def ptxas_version() -> str:
    (program,) = (file for file in metadata.files("nvidia-cuda-nvcc-cu12") or () if file.name == "ptxas")
    said = subprocess.run([program.locate(), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([0-9.]+)", said)[1]


if __name__ == "__main__":
    main()
