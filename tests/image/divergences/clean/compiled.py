"""A compiled training step."""

import digits
import torch
from torch import nn

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
model = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters())
compiled = torch.compile(model, fullgraph=True)  # it takes nothing that cannot be compiled, hooks of ours included
for pixels, targets in zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True):
    loss = nn.functional.cross_entropy(compiled(pixels), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"loss {loss.item():.9f}")
