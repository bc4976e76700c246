"""Times and random names that reach no number: logs, a run's name, a measured speed as a tensor."""

import time
import uuid

import digits
import torch
from torch import nn

name = f"run-{uuid.uuid4()} of {time.time_ns()}"
images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters())
for pixels, targets in zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True):
    begin = time.perf_counter()
    loss = nn.functional.cross_entropy(model(pixels), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    speed = torch.tensor(len(pixels) / (time.perf_counter() - begin)).log()
    print(f"{name}: loss {loss.item():.9f}, {speed.exp():.0f} images a second")
