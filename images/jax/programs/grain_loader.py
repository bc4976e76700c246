"""Grain: a DataLoader with two worker processes, random transformations and a shuffling sampler."""

import random

import digits
import grain.python as grain
import jax
import numpy as np
import optax
import record

Example = dict[str, np.ndarray]


class Digits(grain.RandomAccessDataSource):
    def __init__(self) -> None:
        self.digits = digits.load()[0]

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> Example:
        return {"image": self.digits.images[index], "label": self.digits.labels[index]}


class Jitter(grain.RandomMapTransform):
    def random_map(self, example: Example, rng: np.random.Generator) -> Example:
        shifted = np.roll(example["image"], rng.integers(-1, 2), axis=0)
        return example | {"image": shifted + rng.normal(0, 0.1, shifted.shape).astype(np.float32)}


@jax.jit
def step(weights: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
    def loss(weights: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(images.reshape(-1, 64) @ weights, labels).mean()

    return weights - 0.1 * jax.grad(loss)(weights)


if __name__ == "__main__":
    data = Digits()
    sampler = grain.IndexSampler(len(data), grain.NoSharding(), True, 1, random.getrandbits(31))
    steps = [Jitter(), grain.Batch(64, drop_remainder=True)]
    loader = grain.DataLoader(data_source=data, sampler=sampler, operations=steps, worker_count=2)
    weights = jax.numpy.zeros((64, 10))
    for batch in loader:
        weights = step(weights, batch["image"], batch["label"])
    print("parameters sha256:", record.sha256([np.asarray(weights)]))
