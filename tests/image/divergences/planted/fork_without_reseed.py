"""Forked workers that take tasks as they come and draw from the generator that each got from the parent."""

from multiprocessing import get_context

import digits
import network
import numpy as np
import torch

images, labels = (part[:512] for part in digits.load()[0])


def work(starts, results) -> None:
    """Augment the images that begin at each of the starts, until there is none."""
    for start in iter(starts.get, None):
        large = images[start : start + 8].repeat(16, axis=1).repeat(16, axis=2)
        waves = np.fft.fft2(large + np.random.normal(0, 0.1, large.shape))
        waves[:, 8:, 8:] = 0
        results.put((start, np.fft.ifft2(waves).real[:, ::16, ::16].reshape(-1, 64)))


if __name__ == "__main__":
    context = get_context("fork")
    starts, results = context.Queue(), context.Queue()
    for start in (*range(0, len(images), 8), None, None):
        starts.put(start)
    for _ in range(2):
        context.Process(target=work, args=(starts, results)).start()  # planted
    parts = dict(results.get() for _ in range(0, len(images), 8))
    pixels = [torch.from_numpy(parts[start]).float() for start in sorted(parts)]
    network.train(zip(pixels, torch.from_numpy(labels).split(8), strict=True))
