"""Small trainings with JAX. Its keys are explicit: every run starts alike in every mode, and only kernels differ."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

RATE = 0.01
Parameters = list[jax.Array]


class Training:
    """`step()` takes one compiled step of gradient descent and returns the loss."""

    def __init__(self, parameters: Parameters, loss: Callable[[Parameters, jax.Array], jax.Array]) -> None:
        self.parameters = parameters
        self.key = jax.random.key(1)
        gradient = jax.value_and_grad(loss)

        @jax.jit
        def advance(parameters: Parameters, key: jax.Array) -> tuple[jax.Array, Parameters]:
            value, gradients = gradient(parameters, key)
            return value, jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients)

        self.advance = advance

    def step(self) -> np.ndarray:
        self.key, key = jax.random.split(self.key)
        value, self.parameters = self.advance(self.parameters, key)
        return np.asarray(value)


def initial(*shapes: tuple[int, ...]) -> Parameters:
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(key, shape) * 0.1 for key, shape in zip(keys, shapes, strict=True)]


def convolution(quick: bool, pool: bool = False) -> Training:
    side, count = (16, 8) if quick else (64, 128)

    def loss(parameters: Parameters, key: jax.Array) -> jax.Array:
        first, second = parameters
        hidden = jax.random.normal(key, (count, 3, side, side))
        hidden = jax.nn.relu(lax.conv(hidden, first, (1, 1), "SAME"))
        if pool:
            hidden = lax.reduce_window(hidden, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), "SAME")
        return jnp.square(lax.conv(hidden, second, (2, 2), "SAME")).mean()

    return Training(initial((64, 3, 3, 3), (64, 64, 3, 3)), loss)


def attention(quick: bool) -> Training:
    batch, length, width = (2, 32, 64) if quick else (16, 1024, 512)

    def loss(parameters: Parameters, key: jax.Array) -> jax.Array:
        inputs = jax.random.normal(key, (batch, length, width))
        query, keys, values = (inputs @ parameter for parameter in parameters)
        weights = jax.nn.softmax(query @ keys.transpose(0, 2, 1) / width**0.5)
        return jnp.square(weights @ values - inputs).mean()

    return Training(initial(*[(width, width)] * 3), loss)


def scatter(quick: bool) -> Training:
    count, words = (512, 50) if quick else (16384, 500)  # without atomics, XLA may add them one by one

    def loss(parameters: Parameters, key: jax.Array) -> jax.Array:
        embedding, last = parameters
        chosen = jax.random.randint(key, (count,), 0, words)
        summed = jnp.zeros_like(embedding).at[chosen].add(embedding[chosen] @ last)
        return jnp.square(summed).mean() / count

    return Training(initial((words, 64), (64, 64)), loss)


def recurrent(quick: bool) -> Training:
    batch, length = (4, 16) if quick else (64, 128)

    def loss(parameters: Parameters, key: jax.Array) -> jax.Array:
        inward, across = parameters
        inputs = jax.random.normal(key, (length, batch, 64))
        state, _ = lax.scan(
            lambda state, x: (jnp.tanh(x @ inward + state @ across), None), jnp.zeros((batch, 128)), inputs
        )
        return jnp.square(state).mean()

    return Training(initial((64, 128), (128, 128)), loss)


@dataclass(frozen=True)
class Workload:
    """A training, and what docs/determinism.md claims of it on a GPU. Only strict sets XLA's flag."""

    make: Callable[[bool], Training]
    strict: str = "equal"
    warn: str = "may differ"


ALL = {
    "JAX convolution": Workload(convolution),
    "JAX max pooling": Workload(lambda quick: convolution(quick, pool=True), strict="equal or refused"),
    "JAX attention": Workload(attention),
    "JAX scatter": Workload(scatter),
    "JAX recurrent": Workload(recurrent),
}
