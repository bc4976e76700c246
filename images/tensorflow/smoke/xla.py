"""XLA trains like eager mode, to the same bits (CPU)."""

import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf

TOLERANCE = 1e-5  # absolute; parameters are around 0.1

Gradients = Callable[..., list[tf.Tensor]]


def main() -> None:
    eager = train(gradients)
    compiled, again = (train(tf.function(gradients, jit_compile=True)) for _ in range(2))
    difference = np.abs(compiled - eager).max()
    if difference > TOLERANCE:
        sys.exit(f"compiled and eager training end up to {difference:.1e} apart; at most {TOLERANCE:.0e} is expected")
    if not np.array_equal(compiled, again):
        sys.exit("two compiled trainings from the same start end with different bits")
    print(f"compiled and eager training end at most {difference:.1e} apart; compiled twice: equal bits")


def train(gradients: Gradients) -> np.ndarray:
    """All parameters, in one row, after a few steps from a fixed start on fixed data."""
    inputs = tf.reshape(tf.linspace(-1.0, 1.0, 16 * 32), (16, 32))
    random = np.random.default_rng(0)
    shapes = [(32, 64), (64, 8)]
    weights = [tf.constant(random.normal(0, 0.1, shape), tf.float32) for shape in shapes]
    for _ in range(3):
        steps = gradients(inputs, *weights)
        weights = [weight - 0.05 * step for weight, step in zip(weights, steps, strict=True)]
    return np.concatenate([weight.numpy().ravel() for weight in weights])


def gradients(inputs: tf.Tensor, *weights: tf.Tensor) -> list[tf.Tensor]:
    """Of the mean square of a small network's output, with respect to each weight."""
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outputs = tf.nn.gelu(inputs @ weights[0]) @ weights[1]
        loss = tf.reduce_mean(outputs**2)
    return tape.gradient(loss, list(weights))


if __name__ == "__main__":
    main()
