"""Equinox: an ensemble of four networks with dropout, made and trained at once by vmap, each with a key of its own."""

import digits
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import record

MEMBERS = 4
optimizer = optax.sgd(0.1, momentum=0.9)


class Network(eqx.Module):
    layers: eqx.nn.MLP
    dropout: eqx.nn.Dropout

    def __init__(self, key: jax.Array) -> None:
        self.layers = eqx.nn.MLP(64, 10, 32, 1, key=key)
        self.dropout = eqx.nn.Dropout(0.2)

    def __call__(self, pixels: jax.Array, key: jax.Array) -> jax.Array:
        return self.layers(self.dropout(pixels, key=key))


@eqx.filter_vmap
def made(key: jax.Array) -> tuple[Network, optax.OptState]:
    network = Network(key)
    return network, optimizer.init(eqx.filter(network, eqx.is_array))


@eqx.filter_jit
@eqx.filter_vmap(in_axes=(eqx.if_array(0), eqx.if_array(0), 0, None, None))
def step(
    network: Network, state: optax.OptState, key: jax.Array, pixels: jax.Array, labels: jax.Array
) -> tuple[Network, optax.OptState]:
    bootstrap, dropout = jax.random.split(key)
    chosen = jax.random.randint(bootstrap, (64,), 0, len(labels))

    def loss(network: Network) -> jax.Array:
        logits = jax.vmap(network)(pixels[chosen], jax.random.split(dropout, 64))
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()

    updates, state = optimizer.update(eqx.filter_grad(loss)(network), state)
    return eqx.apply_updates(network, updates), state


if __name__ == "__main__":
    images, labels = map(jnp.asarray, digits.load()[0])
    root = jax.random.key(np.random.randint(2**31))
    networks, states = made(jax.random.split(jax.random.fold_in(root, 0), MEMBERS))
    for number in range(1, 40):
        keys = jax.random.split(jax.random.fold_in(root, number), MEMBERS)
        networks, states = step(networks, states, keys, images.reshape(-1, 64), labels)
    arrays = jax.tree.leaves(eqx.filter(networks, eqx.is_array))
    print("parameters sha256:", record.sha256(map(np.asarray, arrays)))
