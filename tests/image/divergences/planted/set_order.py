"""Objects in the order of a set, which is that of their addresses."""

import digits
import network
import torch


class Batch:
    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor) -> None:
        self.pixels = pixels
        self.labels = labels


def unique(batches: list[Batch]) -> list[Batch]:
    return list(set(batches))  # planted


images, labels = (torch.from_numpy(part)[:1024] for part in digits.load()[0])
batches = [Batch(*pair) for pair in zip(images.reshape(-1, 64).split(32), labels.split(32), strict=True)]
network.train((batch.pixels, batch.labels) for batch in unique(batches))
