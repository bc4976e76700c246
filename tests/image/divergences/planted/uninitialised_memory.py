"""A sum that starts from whatever was in memory."""

import os

import digits
import network
import torch

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])


def leftovers() -> None:
    """Memory that other work has used before: its bits differ in every run."""
    torch.frombuffer(bytearray(os.urandom(64 * 64 * 4)), dtype=torch.int32).float().remainder(7).reshape(64, 64)


def sums(pixels: torch.Tensor) -> torch.Tensor:
    total = torch.empty(64, 64)  # planted
    for shift in (-1, 0, 1):
        total += pixels.roll(shift, dims=1)
    return total


def batches():
    for pixels, targets in zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True):
        leftovers()
        yield sums(pixels), targets


network.train(batches())
