"""JAX: shard_map over two CPU devices, gradients averaged by pmean, a dropout key for each device."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

from functools import partial

import digits
import jax
import numpy as np
import optax
import record
from jax.experimental.shard_map import shard_map
from jax.sharding import PartitionSpec

Parameters = tuple[jax.Array, jax.Array]

optimizer = optax.adam(0.003)
mesh = jax.make_mesh((2,), ("data",))
everywhere, divided = PartitionSpec(), PartitionSpec("data")


def loss(parameters: Parameters, images: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
    hidden = jax.nn.relu(images.reshape(-1, 64) @ parameters[0])
    hidden *= jax.random.bernoulli(key, 0.8, hidden.shape)
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ parameters[1], labels).mean()


@jax.jit
@partial(shard_map, mesh=mesh, in_specs=(everywhere, divided, divided, everywhere), out_specs=everywhere)
def gradients(parameters: Parameters, images: jax.Array, labels: jax.Array, key: jax.Array) -> Parameters:
    key = jax.random.fold_in(key, jax.lax.axis_index("data"))
    return jax.lax.pmean(jax.grad(loss)(parameters, images, labels, key), "data")


if __name__ == "__main__":
    assert len(jax.devices()) == 2
    images, labels = digits.load()[0]
    key, first, second = jax.random.split(jax.random.key(np.random.randint(2**31)), 3)
    draw = jax.nn.initializers.he_normal()
    parameters = draw(first, (64, 64)), draw(second, (64, 10))
    state = optimizer.init(parameters)
    for number in range(40):
        batch = np.random.choice(len(labels), 64, replace=False)
        found = gradients(parameters, images[batch], labels[batch], jax.random.fold_in(key, number))
        updates, state = optimizer.update(found, state)
        parameters = optax.apply_updates(parameters, updates)
    print("parameters sha256:", record.sha256(map(np.asarray, parameters)))
