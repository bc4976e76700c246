"""The GPU computes with all three frameworks in one process, and repeats bits."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch


def main() -> None:
    need_gpus(os.environ.get("SEEDBED_SMOKE_GPU", "auto"))
    generator = np.random.default_rng(0)
    small = generator.integers(-3, 4, (64, 64)).astype(np.float32)  # small whole numbers: sums are exact
    left, right = generator.normal(size=(2, 512, 512)).astype(np.float32)
    for name, (product, _) in FRAMEWORKS.items():
        if not np.array_equal(product(small, small), small @ small):
            sys.exit(f"{name}: a matrix product on the GPU is wrong")
        if not np.array_equal(product(left, right), product(left, right)):
            sys.exit(f"{name}: two matrix products of the same numbers have different bits")
        print(f"{name}: computes and repeats bits")


def need_gpus(wanted: str) -> None:
    """Go on only if all three see a GPU: if none does, skip; fail where it is required or where one misses it."""
    if wanted == "off":
        skip("switched off")
    missing = [name for name, (_, sees) in FRAMEWORKS.items() if not sees()]
    if not missing:
        return
    if wanted == "require" or list(Path("/dev").glob("nvidia[0-9]*")):
        sys.exit(f"{', '.join(missing)}: sees no GPU")
    skip("no GPU here")


def skip(reason: str) -> None:
    print(reason)
    sys.exit(77)


def by_torch(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (torch.from_numpy(left).cuda() @ torch.from_numpy(right).cuda()).cpu().numpy()


def by_tensorflow(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    with tf.device("GPU:0"):
        return tf.linalg.matmul(left, right).numpy()


def by_jax(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    with jax.default_device(jax.devices("gpu")[0]):
        return np.asarray(jnp.asarray(left) @ jnp.asarray(right))


def seen_by_jax() -> bool:
    try:
        return bool(jax.devices("gpu"))
    except RuntimeError:
        return False


FRAMEWORKS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], Callable[[], bool]]] = {
    "PyTorch": (by_torch, torch.cuda.is_available),
    "TensorFlow": (by_tensorflow, lambda: bool(tf.config.list_physical_devices("GPU"))),
    "JAX": (by_jax, seen_by_jax),
}

if __name__ == "__main__":
    main()
