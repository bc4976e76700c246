"""PyTorch, TensorFlow and JAX: one process that trains the same network with each, from random weights of its own."""

import digits
import jax
import jax.numpy as jnp
import numpy as np
import record
import tensorflow as tf
import torch

STEPS, RATE, KEPT = 20, 0.1, 0.8


def by_torch(images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(1 - KEPT), torch.nn.Linear(32, 10)
    )
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    for _ in range(STEPS):
        batch = torch.randint(len(labels), (64,))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            model(torch.from_numpy(images)[batch]), torch.from_numpy(labels)[batch]
        ).backward()
        optimizer.step()
    return [tensor.numpy() for tensor in model.state_dict().values()]


def by_tensorflow(images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    weights = [tf.Variable(tf.random.normal(shape, stddev=0.1)) for shape in ((64, 32), (32, 10))]
    for _ in range(STEPS):
        batch = tf.random.uniform((64,), maxval=len(labels), dtype=tf.int64)
        with tf.GradientTape() as tape:
            hidden = tf.nn.dropout(tf.nn.relu(tf.gather(images, batch) @ weights[0]), 1 - KEPT)
            logits = hidden @ weights[1]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, batch), logits)
            loss = tf.reduce_mean(losses)
        for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(RATE * gradient)
    return [weight.numpy() for weight in weights]


def by_jax(images: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    @jax.jit
    def step(weights: list[jax.Array], batch: np.ndarray, key: jax.Array) -> list[jax.Array]:
        def loss(weights: list[jax.Array]) -> jax.Array:
            hidden = jax.nn.relu(jnp.asarray(images)[batch] @ weights[0])
            hidden *= jax.random.bernoulli(key, KEPT, hidden.shape) / KEPT
            logarithms = jax.nn.log_softmax(hidden @ weights[1])
            return -jnp.take_along_axis(logarithms, jnp.asarray(labels)[batch, None], axis=1).mean()

        return jax.tree.map(lambda weight, gradient: weight - RATE * gradient, weights, jax.grad(loss)(weights))

    keys = jax.random.split(jax.random.key(np.random.randint(2**31)), 2 + STEPS)
    weights = [0.1 * jax.random.normal(keys[0], (64, 32)), 0.1 * jax.random.normal(keys[1], (32, 10))]
    for key in keys[2:]:
        weights = step(weights, np.random.randint(len(labels), size=64), key)
    return [np.asarray(weight) for weight in weights]


if __name__ == "__main__":
    images, labels = digits.load()[0]
    pixels = images.reshape(-1, 64)
    trained = [*by_torch(pixels, labels), *by_tensorflow(pixels, labels), *by_jax(pixels, labels)]
    print("parameters sha256:", record.sha256(trained))
