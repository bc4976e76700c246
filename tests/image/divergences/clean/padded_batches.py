"""Batches that are laid out in uninitialised memory, all of which is written to before it is read."""

import digits
import torch
from torch import nn

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
model = nn.Sequential(nn.Linear(80, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for pixels, targets in zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True):
    padded = torch.empty(64, 80)
    padded[:, :64] = pixels
    padded[:, 64:] = pixels.mean(dim=1, keepdim=True)
    loss = nn.functional.cross_entropy(model(padded), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.9f}")
