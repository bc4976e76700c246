"""JAX: a training with Optax on batches from PyTorch's DataLoader, which shuffles and augments in two workers."""

import random

import digits
import jax
import jax.numpy as jnp
import numpy as np
import optax
import record
import torch
from torch.utils.data import DataLoader, Dataset

Parameters = dict[str, jax.Array]

optimizer = optax.adam(0.003)


class Augmented(Dataset):
    def __init__(self) -> None:
        self.digits = digits.load()[0]

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self.digits.images[index]).roll(random.randint(-1, 1), 0)
        return image + 0.1 * torch.randn(8, 8), int(self.digits.labels[index])


@jax.jit
def step(
    parameters: Parameters, state: optax.OptState, images: jax.Array, labels: jax.Array, key: jax.Array
) -> tuple[Parameters, optax.OptState]:
    def loss(parameters: Parameters) -> jax.Array:
        hidden = jax.nn.relu(images.reshape(-1, 64) @ parameters["hidden"])
        hidden = jnp.where(jax.random.bernoulli(key, 0.8, hidden.shape), hidden / 0.8, 0)
        return optax.softmax_cross_entropy_with_integer_labels(hidden @ parameters["head"], labels).mean()

    updates, state = optimizer.update(jax.grad(loss)(parameters), state)
    return optax.apply_updates(parameters, updates), state


if __name__ == "__main__":
    key, hidden, head = jax.random.split(jax.random.key(torch.randint(2**31, ()).item()), 3)
    draw = jax.nn.initializers.he_normal()
    parameters = {"hidden": draw(hidden, (64, 64)), "head": draw(head, (64, 10))}
    state = optimizer.init(parameters)
    loader = DataLoader(Augmented(), batch_size=64, shuffle=True, drop_last=True, num_workers=2)
    for number, (images, labels) in enumerate(loader):
        batch = images.numpy(), labels.numpy()
        parameters, state = step(parameters, state, *batch, jax.random.fold_in(key, number))
    print("parameters sha256:", record.sha256(np.asarray(array) for array in parameters.values()))
