"""A network whose activations are computed again in backward, and a file that it writes and reads back."""

import tempfile
from pathlib import Path

import digits
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
lower = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2))
upper = nn.Linear(32, 10)
optimizer = torch.optim.AdamW([*lower.parameters(), *upper.parameters()])
with tempfile.TemporaryDirectory() as folder:
    for pixels, targets in zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True):
        loss = nn.functional.cross_entropy(upper(checkpoint(lower, pixels, use_reentrant=False)), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.save(lower.state_dict(), Path(folder) / "lower.pt")
        lower.load_state_dict(torch.load(Path(folder) / "lower.pt"))
        print(f"loss {loss.item():.9f}")
