"""Train a multi-layer perceptron on handwritten digits with NumPy alone. Nothing here seeds anything."""

import digits
import numpy as np
import record

BATCH = 64
HIDDEN = 64
KEPT = 0.8
RATE = 0.1
MOMENTUM = 0.9

Parameters = list[np.ndarray]  # weights and biases of the hidden layer, then of the output layer


def main() -> None:
    options = record.arguments(__doc__)
    training, test = digits.load()
    generator = np.random.default_rng()
    parameters = initial(generator)
    velocity = [np.zeros_like(parameter) for parameter in parameters]
    log = record.Record(options.output)
    for _ in range(options.epochs):
        loss = train(parameters, velocity, training, generator)
        log.epoch(loss=loss, accuracy=accuracy(parameters, test))
    log.finish(parameters)


def initial(generator: np.random.Generator) -> Parameters:
    """Weights after He et al. (2015), biases zero."""
    shapes = [(64, HIDDEN), (HIDDEN, 10)]
    weights = [generator.normal(0, np.sqrt(2 / shape[0]), shape) for shape in shapes]
    return [weights[0], np.zeros(HIDDEN), weights[1], np.zeros(10)]


def train(
    parameters: Parameters, velocity: Parameters, training: digits.Digits, generator: np.random.Generator
) -> float:
    """One epoch of stochastic gradient descent with momentum, in place; returns the mean loss over its batches."""
    order = np.random.permutation(len(training))  # NumPy's older, global generator: scripts use both
    losses = []
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        kept = generator.random((len(batch), HIDDEN)) < KEPT
        loss, gradients = backward(parameters, training.images[batch], training.labels[batch], kept / KEPT)
        losses.append(loss)
        for parameter, step, gradient in zip(parameters, velocity, gradients, strict=True):
            step *= MOMENTUM
            step -= RATE * gradient
            parameter += step
    return float(np.mean(losses))


def backward(
    parameters: Parameters, images: np.ndarray, labels: np.ndarray, dropout: np.ndarray
) -> tuple[float, Parameters]:
    """Cross-entropy of a batch and its gradient with respect to each parameter."""
    _, _, weights, _ = parameters
    pixels, hidden, logits = forward(parameters, images, dropout)
    rows = np.arange(len(labels))
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    loss = -np.log(probabilities[rows, labels]).mean()

    at_logits = probabilities
    at_logits[rows, labels] -= 1
    at_logits /= len(labels)
    at_hidden = (at_logits @ weights.T) * (hidden > 0) * dropout
    return loss, [pixels.T @ at_hidden, at_hidden.sum(axis=0), hidden.T @ at_logits, at_logits.sum(axis=0)]


def forward(
    parameters: Parameters, images: np.ndarray, dropout: np.ndarray | float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The activations of a batch: pixels (n, 64), hidden (n, HIDDEN), logits (n, 10)."""
    to_hidden, hidden_bias, to_logits, logits_bias = parameters
    pixels = images.reshape(len(images), -1)
    hidden = np.maximum(pixels @ to_hidden + hidden_bias, 0) * dropout
    return pixels, hidden, hidden @ to_logits + logits_bias


def accuracy(parameters: Parameters, test: digits.Digits) -> float:
    *_, logits = forward(parameters, test.images)
    return float((logits.argmax(axis=1) == test.labels).mean())


if __name__ == "__main__":
    main()
