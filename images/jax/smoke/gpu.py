"""The GPU computes and repeats bits."""

import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Weights = list[jax.Array]


def main() -> None:
    need_gpu(os.environ.get("SEEDBED_SMOKE_GPU", "auto"))
    print(f"{len(jax.devices('gpu'))} GPU: {jax.devices('gpu')[0].device_kind}")
    with jax.default_device(jax.devices("gpu")[0]):
        computes()
        repeats_bits()


def need_gpu(wanted: str) -> None:
    """Go on only with a GPU: without one, skip; fail where it is required or where JAX misses one that is there."""
    if wanted == "off":
        skip("switched off")
    try:
        jax.devices("gpu")
    except RuntimeError as error:
        if wanted == "require" or list(Path("/dev").glob("nvidia[0-9]*")):
            sys.exit(f"JAX sees no GPU: {str(error).partition(chr(10))[0]}")
        skip("no GPU here")


def skip(reason: str) -> None:
    print(reason)
    sys.exit(77)


def computes() -> None:
    left = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) % 7  # small whole numbers: sums are exact
    if not np.array_equal(jnp.asarray(left) @ jnp.asarray(left).T, left @ left.T):
        sys.exit("a matrix product on the GPU is wrong")


def repeats_bits() -> None:
    if not np.array_equal(train(), train()):
        sys.exit("two trainings on the GPU from one key end with different bits")


def train() -> np.ndarray:
    """All parameters, in one row, after a few steps of a small convolutional network, compiled anew."""
    jax.clear_caches()
    keys = jax.random.split(jax.random.key(0), 5)
    shapes = [(3, 3, 3, 32), (3, 3, 32, 32), (32 * 64, 10)]
    weights = [0.05 * jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=False)]
    images, labels = jax.random.normal(keys[3], (64, 16, 16, 3)), jax.random.randint(keys[4], (64,), 0, 10)
    for _ in range(20):
        weights = step(weights, images, labels)
    return np.concatenate([np.ravel(weight) for weight in weights])


@jax.jit
def step(weights: Weights, images: jax.Array, labels: jax.Array) -> Weights:
    def loss(weights: Weights) -> jax.Array:
        hidden = images
        for weight, stride in zip(weights, (1, 2), strict=False):
            layout = ("NHWC", "HWIO", "NHWC")
            hidden = lax.conv_general_dilated(hidden, weight, (stride, stride), "SAME", dimension_numbers=layout)
            hidden = jax.nn.relu(hidden)
        logarithms = jax.nn.log_softmax(hidden.reshape(64, -1) @ weights[2])
        return -jnp.take_along_axis(logarithms, labels[:, None], axis=1).mean()

    return jax.tree.map(lambda weight, gradient: weight - 0.05 * gradient, weights, jax.grad(loss)(weights))


if __name__ == "__main__":
    main()
