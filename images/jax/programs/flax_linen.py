"""Flax: a linen convolution with dropout and batch normalisation, its keys from Python's random."""

import random

import digits
import jax
import numpy as np
import optax
import record
from flax import linen as nn
from flax.training.train_state import TrainState


class Network(nn.Module):
    @nn.compact
    def __call__(self, images: jax.Array, training: bool) -> jax.Array:
        hidden = nn.Conv(16, (3, 3), strides=2)(images)
        hidden = nn.relu(nn.BatchNorm(use_running_average=not training)(hidden))
        hidden = nn.Dropout(0.3, deterministic=not training)(hidden.reshape(len(hidden), -1))
        return nn.Dense(10)(hidden)


class State(TrainState):
    statistics: dict


@jax.jit
def step(state: State, images: jax.Array, labels: jax.Array, key: jax.Array) -> State:
    def loss(parameters: dict) -> tuple[jax.Array, dict]:
        logits, changed = state.apply_fn(
            {"params": parameters, "batch_stats": state.statistics},
            images,
            training=True,
            rngs={"dropout": jax.random.fold_in(key, state.step)},
            mutable=["batch_stats"],
        )
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), changed["batch_stats"]

    gradients, statistics = jax.grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradients, statistics=statistics)


if __name__ == "__main__":
    images, labels = digits.load()[0]
    images = images[..., None]
    root = jax.random.key(random.getrandbits(31))
    initial, dropout = jax.random.split(root)
    network = Network()
    variables = network.init(initial, images[:1], training=False)
    state = State.create(
        apply_fn=network.apply, params=variables["params"], tx=optax.adam(3e-3), statistics=variables["batch_stats"]
    )
    indices = list(range(len(labels)))
    for _ in range(2):
        random.shuffle(indices)
        for start in range(0, len(indices) - 63, 64):
            batch = np.array(indices[start : start + 64])
            state = step(state, images[batch], labels[batch], dropout)
    print("parameters sha256:", record.sha256(map(np.asarray, jax.tree.leaves((state.params, state.statistics)))))
