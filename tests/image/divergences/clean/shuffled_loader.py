"""A shuffled loader and dropout, nothing seeded by the script: the image does."""

import digits
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters())
for _ in range(2):
    for pixels, targets in DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True):
        loss = nn.functional.cross_entropy(model(pixels), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.9f}")
