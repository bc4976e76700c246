"""A small network and its training loop, which the planted programs share. Nothing in here is planted."""

import torch
from torch import nn


def train(batches, model: nn.Module | None = None) -> None:
    """One epoch over pairs of pixels (n, 64) and labels (n,), with dropout and Adam."""
    model = model or nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters())
    for pixels, labels in batches:
        loss = nn.functional.cross_entropy(model(pixels), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"loss {loss.item():.9f}")
