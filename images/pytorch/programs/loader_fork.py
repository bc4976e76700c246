"""DataLoader: two forked workers that draw from Python, numpy (old and new) and torch."""

import random

import digits
import numpy as np
import record
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler


class Noisy(Dataset):
    """Digits, each shifted, dimmed and covered with noise anew."""

    def __init__(self) -> None:
        self.digits = digits.load()[0]

    def __len__(self) -> int:
        return len(self.digits)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = np.roll(self.digits.images[index], random.randint(-1, 1), axis=0)
        image = image * np.float32(np.random.uniform(0.8, 1))
        image = image + np.random.default_rng().normal(0, 0.1, image.shape).astype(np.float32)
        return torch.from_numpy(image) + 0.1 * torch.randn(8, 8), int(self.digits.labels[index])


def train(start_method: str) -> None:
    data = Noisy()
    sampler = WeightedRandomSampler([1.0] * len(data), num_samples=len(data))
    loader = DataLoader(data, batch_size=64, sampler=sampler, num_workers=2, multiprocessing_context=start_method)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(2):
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))


if __name__ == "__main__":
    train("fork")
