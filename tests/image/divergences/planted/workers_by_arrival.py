"""Batches in the order in which the workers have them ready."""

import time

import digits
import network
import torch
from torch.utils.data import DataLoader, Dataset


class Slow(Dataset):
    def __init__(self) -> None:
        self.images, self.labels = digits.load()[0]

    def __len__(self) -> int:
        return 512

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        time.sleep(time.time_ns() // 1000 % 10 / 10000)  # as long as reading the file happens to take
        return torch.from_numpy(self.images[index].reshape(64)), int(self.labels[index])


network.train(DataLoader(Slow(), batch_size=32, num_workers=2, in_order=False))  # planted
