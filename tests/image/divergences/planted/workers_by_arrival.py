"""Batches in the order in which the workers have them ready."""

import digits
import network
import torch
from torch.utils.data import DataLoader, Dataset


class Smoothed(Dataset):
    def __init__(self) -> None:
        self.images, self.labels = digits.load()[0]

    def __len__(self) -> int:
        return 512

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self.images[index])
        left, strengths, right = torch.linalg.svd(image)
        smooth = left[:, :4] * strengths[:4] @ right[:4]
        return smooth.reshape(64), int(self.labels[index])


network.train(DataLoader(Smoothed(), batch_size=8, num_workers=3, in_order=False))  # planted
