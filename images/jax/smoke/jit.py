"""Compiled by jit, JAX trains like uncompiled, to the same bits (CPU)."""

import sys

import jax
import jax.numpy as jnp
import numpy as np

TOLERANCE = 1e-5  # absolute; parameters are around 0.1

Weights = tuple[jax.Array, jax.Array]


def main() -> None:
    with jax.disable_jit():
        eager = train()
    compiled, again = (train() for _ in range(2))
    difference = np.abs(compiled - eager).max()
    if difference > TOLERANCE:
        sys.exit(f"compiled and eager training end up to {difference:.1e} apart; at most {TOLERANCE:.0e} is expected")
    if not np.array_equal(compiled, again):
        sys.exit("two compiled trainings from the same start end with different bits")
    print(f"compiled and eager training end at most {difference:.1e} apart; compiled twice: equal bits")


def train() -> np.ndarray:
    """All parameters, in one row, after a few steps from a fixed start on fixed data."""
    jax.clear_caches()
    inputs = jnp.linspace(-1, 1, 16 * 32).reshape(16, 32)
    first, second = jax.random.split(jax.random.key(0))
    weights = 0.1 * jax.random.normal(first, (32, 64)), 0.1 * jax.random.normal(second, (64, 8))
    for _ in range(3):
        weights = step(weights, inputs)
    return np.concatenate([np.ravel(weight) for weight in weights])


@jax.jit
def step(weights: Weights, inputs: jax.Array) -> Weights:
    """Down the gradient of the mean square of a small network's output."""
    gradients = jax.grad(lambda weights: jnp.mean((jax.nn.gelu(inputs @ weights[0]) @ weights[1]) ** 2))(weights)
    return jax.tree.map(lambda weight, gradient: weight - 0.05 * gradient, weights, gradients)


if __name__ == "__main__":
    main()
