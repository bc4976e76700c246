"""Train a small convolutional network on handwritten digits with JAX alone. Nothing here seeds anything.

JAX's keys are explicit: the first one is drawn from NumPy, and all others follow from it.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import digits
import jax
import jax.numpy as jnp
import numpy as np
import record
from jax import lax

BATCH = 64
RATE = 0.003
KEPT = 0.7
DECAYS = (0.9, 0.999)

Parameters = dict[str, jax.Array]


class Progress(NamedTuple):
    """What a step changes. `means` and `squares` are Adam's, of the gradients and of their squares."""

    parameters: Parameters
    means: Parameters
    squares: Parameters
    step: jax.Array
    key: jax.Array


def main() -> None:
    options = record.arguments(__doc__.partition("\n")[0])
    training, test = digits.load()
    state = initial(jax.random.key(np.random.randint(2**31)))
    log = record.Record(options.output)
    for _ in range(options.epochs):
        losses = []
        for images, labels in batches(training):
            state, loss = train(state, images, labels)
            losses.append(loss)
        log.epoch(loss=np.mean(losses), accuracy=accuracy(state.parameters, *test))
    log.finish(map(np.asarray, state.parameters.values()))


def initial(key: jax.Array) -> Progress:
    """Weights after He et al. (2015), biases zero."""
    shapes = {"first": (3, 3, 1, 16), "second": (3, 3, 16, 32), "last": (4 * 4 * 32, 10)}
    key, *keys = jax.random.split(key, 1 + len(shapes))
    draw = jax.nn.initializers.he_normal()
    parameters = {name: draw(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)}
    parameters |= {f"{name} bias": jnp.zeros(shape[-1]) for name, shape in shapes.items()}
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return Progress(parameters, zeros, zeros, jnp.zeros((), int), key)


def batches(part: digits.Digits) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All images once, in a new order."""
    order = np.random.permutation(len(part))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        yield part.images[batch], part.labels[batch]


@jax.jit
def train(state: Progress, images: jax.Array, labels: jax.Array) -> tuple[Progress, jax.Array]:
    """One step of Adam (Kingma and Ba, 2015); returns the new state and the mean loss over the batch."""
    key, dropout = jax.random.split(state.key)
    loss, gradients = jax.value_and_grad(cross_entropy)(state.parameters, images, labels, dropout)
    step = state.step + 1
    means = jax.tree.map(partial(decayed, DECAYS[0]), state.means, gradients)
    squares = jax.tree.map(partial(decayed, DECAYS[1]), state.squares, jax.tree.map(jnp.square, gradients))

    def moved(parameter: jax.Array, mean: jax.Array, square: jax.Array) -> jax.Array:
        mean, square = mean / (1 - DECAYS[0] ** step), square / (1 - DECAYS[1] ** step)
        return parameter - RATE * mean / (jnp.sqrt(square) + 1e-8)

    return Progress(jax.tree.map(moved, state.parameters, means, squares), means, squares, step, key), loss


def decayed(decay: float, old: jax.Array, new: jax.Array) -> jax.Array:
    return decay * old + (1 - decay) * new


def cross_entropy(parameters: Parameters, images: jax.Array, labels: jax.Array, key: jax.Array) -> jax.Array:
    logarithms = jax.nn.log_softmax(logits(parameters, images, key))
    return -jnp.take_along_axis(logarithms, labels[:, None], axis=1).mean()


def logits(parameters: Parameters, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """From images of shape (n, 8, 8) to logits of shape (n, 10); with a key, some of the features are dropped."""
    hidden = images[..., None]
    for name, strides in (("first", (1, 1)), ("second", (2, 2))):
        hidden = lax.conv_general_dilated(
            hidden, parameters[name], strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        hidden = jax.nn.relu(hidden + parameters[f"{name} bias"])
    hidden = hidden.reshape(len(hidden), -1)
    if key is not None:
        hidden = jnp.where(jax.random.bernoulli(key, KEPT, hidden.shape), hidden / KEPT, 0)
    return hidden @ parameters["last"] + parameters["last bias"]


@jax.jit
def accuracy(parameters: Parameters, images: jax.Array, labels: jax.Array) -> jax.Array:
    return (logits(parameters, images).argmax(axis=1) == labels).mean()


if __name__ == "__main__":
    main()
