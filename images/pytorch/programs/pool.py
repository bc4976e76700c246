"""multiprocessing: a pool of two that draws from Python, and from a numpy generator for each task."""

import random
from multiprocessing import Pool

import numpy as np
import record


def estimate(generator: np.random.Generator) -> float:
    """Of pi, from random points."""
    inside = sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(50_000))
    inside += np.sum(np.square(generator.random((50_000, 2))).sum(axis=1) < 1)
    return 4 * inside / 100_000


if __name__ == "__main__":
    generators = [np.random.default_rng(seed) for seed in np.random.SeedSequence().spawn(20)]
    with Pool(2) as pool:
        estimates = pool.map(estimate, generators)
    print("parameters sha256:", record.sha256([np.array(estimates)]))
