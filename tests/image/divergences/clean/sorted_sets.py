"""Sets that are sorted before they decide anything, and one of strings, whose order the image fixes."""

import digits
import torch
from torch import nn

images, labels = digits.load()[0]
classes = sorted(set(labels.tolist()))
words = list({"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})
numbers = torch.tensor([len(words[label]) for label in labels[:512]], dtype=torch.float32)
pixels = torch.from_numpy(images[:512]).reshape(-1, 64)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters())
for batch, targets in zip(pixels.split(64), numbers.split(64), strict=True):
    loss = nn.functional.mse_loss(model(batch).squeeze(1), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.9f} over {len(classes)} classes")
