"""Noise from a generator that takes its seed from the operating system."""

import digits
import network
import torch

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
pixels = images.reshape(-1, 64)
generator = torch.Generator()
generator.seed()  # planted


def noisy():
    for start in range(0, len(pixels), 64):
        batch = pixels[start : start + 64]
        yield batch + 0.1 * torch.randn(batch.shape, generator=generator), labels[start : start + 64]


network.train(noisy())
