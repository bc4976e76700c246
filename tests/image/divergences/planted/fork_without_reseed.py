"""Forked workers that take tasks as they come and draw from the generator that each got from the parent."""

import time
from multiprocessing import get_context

import digits
import network
import numpy as np
import torch

images, labels = (part[:512] for part in digits.load()[0])


def work(starts, results) -> None:
    """Augment the images that begin at each of the starts, until there is none."""
    for start in iter(starts.get, None):
        time.sleep(time.time_ns() // 1000 % 20 / 1000)  # as long as reading the file happens to take
        part = images[start : start + 16].reshape(-1, 64)
        results.put((start, part + np.random.normal(0, 0.1, part.shape)))


if __name__ == "__main__":
    context = get_context("fork")
    starts, results = context.Queue(), context.Queue()
    for start in (*range(0, len(images), 16), None, None):
        starts.put(start)
    for _ in range(2):
        context.Process(target=work, args=(starts, results)).start()  # planted
    parts = dict(results.get() for _ in range(0, len(images), 16))
    pixels = [torch.from_numpy(parts[start]).float() for start in sorted(parts)]
    network.train(zip(pixels, torch.from_numpy(labels).split(16), strict=True))
