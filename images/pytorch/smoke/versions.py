"""PyTorch, Python, CUDA, cuDNN and the GPUs that PyTorch names are those of the image."""

import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import torch
import torchaudio
import torchvision

IMAGE = Path(os.environ.get("SEEDBED_IMAGE_JSON", "/etc/seedbed/image.json"))
CUDA_LIBRARY = re.compile(r"\S+/lib(?:cudart|cublas|cudnn|cufft|curand|cusparse|nccl|nvrtc|nvJitLink)[^/\s]*\.so\S*")


def main() -> None:
    image = json.loads(IMAGE.read_text())
    locked = image["versions"]
    build = f"+cu{image['cuda'].replace('.', '')}"
    line = f"cu{image['cuda'].partition('.')[0]}"  # what wheels for one major version of CUDA have in their name
    compare("Python", image["python"], platform.python_version())
    for package in (torch, torchvision, torchaudio):
        compare(package.__name__, locked[package.__name__] + build, package.__version__)
    compare("CUDA as compiled", image["cuda"], torch.version.cuda)
    compare("cuDNN as compiled", image["cudnn"], dotted(torch._C._cudnn.getCompileVersion()))
    compiled_for(image["gpus"], torch._C._cuda_getArchFlags())
    compare("cuDNN as loaded", locked[f"nvidia-cudnn-{line}"], dotted(torch._C._cudnn.getRuntimeVersion()))
    compare("NCCL as loaded", locked[f"nvidia-nccl-{line}"], dotted(torch.cuda.nccl.version()))
    come_from_wheels(set(CUDA_LIBRARY.findall(Path("/proc/self/maps").read_text())))


def compare(what: str, expected: str, found: str) -> None:
    """End the check unless both versions agree in the parts that both of them give."""
    if any(left != right for left, right in zip(expected.split("."), found.split("."), strict=False)):
        sys.exit(f"{what}: expected {expected}, found {found}")
    print(f"{what:18} {found}")


def compiled_for(gpus: list[str], architectures: str) -> None:
    """End the check unless the framework says that it is compiled for each of the image's GPUs, and maybe more.

    `sm_80` is machine code for 8.0; `compute_90` is PTX, for 9.0 and newer ones.
    """
    named = re.sub(r"compute_(\d+)(\d)", r"\1.\2 \1.\2+PTX", re.sub(r"sm_(\d+)(\d)", r"\1.\2", architectures)).split()
    if missing := [gpu for gpu in gpus if gpu not in named]:
        sys.exit(f"GPUs as compiled: expected {', '.join(missing)}, found {architectures}")
    print(f"{'GPUs as compiled':18} {architectures}")


def dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def come_from_wheels(loaded: set[str]) -> None:
    """End the check unless PyTorch loaded its CUDA libraries, all of them, from the image's packages."""
    strays = [path for path in sorted(loaded) if not path.startswith(sysconfig.get_path("purelib"))]
    if strays or not loaded:
        sys.exit(f"expected CUDA libraries from the locked wheels, PyTorch loaded: {', '.join(strays) or 'none'}")
    print(f"{'CUDA as loaded':18} {len(loaded)} libraries, all from the wheels")


if __name__ == "__main__":
    main()
