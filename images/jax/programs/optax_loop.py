"""Optax: a custom training loop with AdamW and weight noise, its first key drawn from numpy."""

import digits
import jax
import jax.numpy as jnp
import numpy as np
import optax
import record

Parameters = dict[str, jax.Array]

optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(0.01, 60)))


def loss(parameters: Parameters, images: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
    noise = 0.02 * jax.random.normal(key, parameters["hidden"].shape)
    hidden = jax.nn.relu(images @ (parameters["hidden"] + noise))
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ parameters["head"], labels).mean()


@jax.jit
def step(
    parameters: Parameters, state: optax.OptState, key: jax.Array, images: jax.Array, labels: jax.Array
) -> tuple[Parameters, optax.OptState]:
    gradients = jax.grad(loss)(parameters, images, labels, key)
    updates, state = optimizer.update(gradients, state, parameters)
    return optax.apply_updates(parameters, updates), state


if __name__ == "__main__":
    images, labels = digits.load()[0]
    key, hidden, head = jax.random.split(jax.random.PRNGKey(np.random.randint(0, 2**31)), 3)
    draw = jax.nn.initializers.glorot_normal()
    parameters = {"hidden": draw(hidden, (64, 64)), "head": draw(head, (64, 10))}
    state = optimizer.init(parameters)
    for _ in range(60):
        key, noise, batch = jax.random.split(key, 3)
        chosen = jax.random.choice(batch, len(labels), (64,), replace=False)
        parameters, state = step(parameters, state, noise, jnp.asarray(images).reshape(-1, 64)[chosen], labels[chosen])
    print("parameters sha256:", record.sha256(np.asarray(array) for array in jax.tree.leaves(parameters)))
