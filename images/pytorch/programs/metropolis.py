"""numpy: default_rng() without a seed, in a Metropolis sampler fitted to the digits."""

import digits
import numpy as np
import record


def log_posterior(weights: np.ndarray, inputs: np.ndarray, labels: np.ndarray) -> float:
    """Of a logistic regression with a normal prior, up to a constant."""
    scores = inputs @ weights
    return float(np.sum(labels * scores - np.logaddexp(0, scores)) - np.sum(weights**2) / 2)


if __name__ == "__main__":
    images, labels = digits.load()[0]
    inputs, labels = images.reshape(len(images), -1).astype(np.float64), (labels == 0).astype(np.float64)
    generator = np.random.default_rng()
    weights = generator.normal(size=64)
    current = log_posterior(weights, inputs, labels)
    samples = []
    for _ in range(2000):
        proposal = weights + generator.normal(scale=0.1, size=64)
        proposed = log_posterior(proposal, inputs, labels)
        if np.log(generator.random()) < proposed - current:
            weights, current = proposal, proposed
        samples.append(weights)
    print("parameters sha256:", record.sha256([np.array(samples)]))
