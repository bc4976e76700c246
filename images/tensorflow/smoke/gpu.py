"""The GPU computes, repeats bits and refuses what cannot repeat."""

import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main() -> None:
    need_gpu(os.environ.get("SEEDBED_SMOKE_GPU", "auto"))
    gpus = tf.config.list_physical_devices("GPU")
    print(f"{len(gpus)} GPU: {tf.config.experimental.get_device_details(gpus[0]).get('device_name')}")
    with tf.device("GPU:0"):
        computes()
        repeats_bits()
        refuses_what_cannot_repeat()


def need_gpu(wanted: str) -> None:
    """Go on only with a GPU: without one, skip; fail where it is required or where TensorFlow misses one."""
    if wanted == "off":
        skip("switched off")
    if tf.config.list_physical_devices("GPU"):
        return
    if wanted == "require" or list(Path("/dev").glob("nvidia[0-9]*")):
        sys.exit("TensorFlow sees no GPU (its own messages stand above)")
    skip("no GPU here")


def skip(reason: str) -> None:
    print(reason)
    sys.exit(77)


def computes() -> None:
    left = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) % 7  # small whole numbers: sums are exact
    if not np.array_equal(tf.linalg.matmul(left, left, transpose_b=True), left @ left.T):
        sys.exit("a matrix product on the GPU is wrong")


def repeats_bits() -> None:
    if not np.array_equal(train(), train()):
        sys.exit("two trainings on the GPU from one start end with different bits")


def train() -> np.ndarray:
    """All parameters, in one row, after a few steps of a small convolutional network on fixed data."""
    random = np.random.default_rng(0)
    shapes = [(3, 3, 3, 32), (3, 3, 32, 32), (32 * 64, 10)]
    weights = [tf.Variable(random.normal(0, 0.05, shape), dtype=tf.float32) for shape in shapes]
    images = tf.constant(random.normal(size=(64, 16, 16, 3)), tf.float32)
    labels = tf.constant(random.integers(10, size=64))
    for _ in range(20):
        for weight, gradient in zip(weights, gradients(weights, images, labels), strict=True):
            weight.assign_sub(0.05 * gradient)
    return np.concatenate([weight.numpy().ravel() for weight in weights])


@tf.function
def gradients(weights: list[tf.Variable], images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        hidden = tf.nn.relu(tf.nn.conv2d(images, weights[0], 1, "SAME"))
        hidden = tf.nn.conv2d(hidden, weights[1], 2, "SAME")
        logits = tf.reshape(hidden, (64, -1)) @ weights[2]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    return tape.gradient(loss, weights)


def refuses_what_cannot_repeat() -> None:
    try:
        tf.image.adjust_contrast(tf.ones((2, 8, 8, 3)), 2.0)
    except tf.errors.UnimplementedError:
        return
    sys.exit("tf.image.adjust_contrast, which cannot repeat on a GPU, ran without an error in mode strict")


if __name__ == "__main__":
    main()
