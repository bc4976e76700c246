"""Two data workers that draw from Python's, numpy's and torch's generators."""

import random

import digits
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __init__(self) -> None:
        self.images, self.labels = digits.load()[0]

    def __len__(self) -> int:
        return 512

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = np.roll(self.images[index], random.randint(-1, 1), axis=0)
        image = image + np.random.default_rng().normal(0, 0.1, image.shape).astype(np.float32)
        return torch.from_numpy(image).reshape(64) + 0.1 * torch.randn(64), int(self.labels[index])


model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters())
for pixels, targets in DataLoader(Noisy(), batch_size=64, shuffle=True, num_workers=2):
    loss = nn.functional.cross_entropy(model(pixels), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.9f}")
