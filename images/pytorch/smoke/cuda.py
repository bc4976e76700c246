"""CUDA libraries load and are the locked ones.

No GPU is needed. The same check serves every image with these wheels: another image links to this file.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

Version = tuple[int, ...]
IMAGE = Path(os.environ.get("SEEDBED_IMAGE_JSON", "/etc/seedbed/image.json"))


def main() -> None:
    locked = json.loads(IMAGE.read_text())["versions"]
    packages = [package for package in LIBRARIES if package in locked]
    if not packages:
        sys.exit(f"the lock names none of the CUDA wheels that this check knows: {', '.join(LIBRARIES)}")
    for package in packages:
        soname, ask = LIBRARIES[package]
        found = ".".join(map(str, ask(ctypes.CDLL(path_of(package, soname)))))
        if not f"{locked[package]}.".startswith(f"{found}."):
            sys.exit(f"{soname} says it is {found}; the lock says {package} {locked[package]}")
        print(f"{soname:20} {found:10} {package} {locked[package]}")


def path_of(package: str, soname: str) -> str:
    """The library's file in the wheel that the lock names, not whichever the system would find."""
    for file in metadata.files(package) or ():
        if file.name == soname:
            return str(file.locate())
    sys.exit(f"{package} is installed without {soname}")


def properties(function: Callable[..., int]) -> Version:
    """Major, minor and patch from a `…GetProperty(type, &value)`."""
    return tuple(filled(function, number)[0] for number in range(3))


def filled(function: Callable[..., int], *arguments: int, count: int = 1) -> Version:
    """The numbers that a C function writes through its last pointers; it returns 0 when all is well."""
    numbers = [ctypes.c_int() for _ in range(count)]
    if status := function(*arguments, *map(ctypes.byref, numbers)):
        sys.exit(f"{function.__name__} returned status {status}")
    return tuple(number.value for number in numbers)


def runtime(library: ctypes.CDLL) -> Version:
    (packed,) = filled(library.cudaRuntimeGetVersion)  # 12060: 12.6
    return packed // 1000, packed % 1000 // 10


def nccl(library: ctypes.CDLL) -> Version:
    (packed,) = filled(library.ncclGetVersion)  # 22602: 2.26.2
    return packed // 10000, packed % 10000 // 100, packed % 100


# By the wheel's name: the library in it, and how to ask that for its version. In the order they need each other.
LIBRARIES: dict[str, tuple[str, Callable[[ctypes.CDLL], Version]]] = {
    "nvidia-cuda-runtime-cu12": ("libcudart.so.12", runtime),
    "nvidia-cuda-nvrtc-cu12": ("libnvrtc.so.12", lambda library: filled(library.nvrtcVersion, count=2)),
    "nvidia-nvjitlink-cu12": ("libnvJitLink.so.12", lambda library: filled(library.nvJitLinkVersion, count=2)),
    "nvidia-cublas-cu12": ("libcublas.so.12", lambda library: properties(library.cublasGetProperty)),
    "nvidia-cudnn-cu12": ("libcudnn.so.9", lambda library: properties(library.cudnnGetProperty)),
    "nvidia-cufft-cu12": ("libcufft.so.11", lambda library: properties(library.cufftGetProperty)),
    "nvidia-curand-cu12": ("libcurand.so.10", lambda library: properties(library.curandGetProperty)),
    "nvidia-cusparse-cu12": ("libcusparse.so.12", lambda library: properties(library.cusparseGetProperty)),
    "nvidia-cusolver-cu12": ("libcusolver.so.11", lambda library: properties(library.cusolverGetProperty)),
    "nvidia-cusparselt-cu12": ("libcusparseLt.so.0", lambda library: properties(library.cusparseLtGetProperty)),
    "nvidia-nccl-cu12": ("libnccl.so.2", nccl),
    "nvidia-cuda-runtime": ("libcudart.so.13", runtime),
    "nvidia-cuda-nvrtc": ("libnvrtc.so.13", lambda library: filled(library.nvrtcVersion, count=2)),
    "nvidia-nvjitlink": ("libnvJitLink.so.13", lambda library: filled(library.nvJitLinkVersion, count=2)),
    "nvidia-cublas": ("libcublas.so.13", lambda library: properties(library.cublasGetProperty)),
    "nvidia-cudnn-cu13": ("libcudnn.so.9", lambda library: properties(library.cudnnGetProperty)),
    "nvidia-cufft": ("libcufft.so.12", lambda library: properties(library.cufftGetProperty)),
    "nvidia-curand": ("libcurand.so.10", lambda library: properties(library.curandGetProperty)),
    "nvidia-cusparse": ("libcusparse.so.12", lambda library: properties(library.cusparseGetProperty)),
    "nvidia-cusolver": ("libcusolver.so.12", lambda library: properties(library.cusolverGetProperty)),
    "nvidia-cusparselt-cu13": ("libcusparseLt.so.0", lambda library: properties(library.cusparseLtGetProperty)),
    "nvidia-nccl-cu13": ("libnccl.so.2", nccl),
}

if __name__ == "__main__":
    main()
