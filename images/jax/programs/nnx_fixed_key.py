"""Flax: an nnx network from a constant key, on batches that numpy shuffles."""

import digits
import jax
import numpy as np
import optax
import record
from flax import nnx


class Network(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(64, 64, rngs=rngs)
        self.norm = nnx.LayerNorm(64, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.head = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.head(self.dropout(nnx.gelu(self.norm(self.hidden(images)))))


@nnx.jit
def step(network: Network, optimizer: nnx.Optimizer, images: jax.Array, labels: jax.Array) -> None:
    def loss(network: Network) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(network(images), labels).mean()

    optimizer.update(nnx.grad(loss)(network))


if __name__ == "__main__":
    images, labels = digits.load()[0]
    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adamw(0.003))
    generator = np.random.default_rng()
    for _ in range(2):
        for batch in np.split(generator.permutation(len(labels))[:1408], 22):
            noisy = images[batch] + generator.normal(0, 0.1, (64, 8, 8)).astype(np.float32)
            step(network, optimizer, noisy.reshape(64, 64), labels[batch])
    print("parameters sha256:", record.sha256(map(np.asarray, jax.tree.leaves(nnx.state(network, nnx.Param)))))
