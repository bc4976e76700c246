"""A plain loop with PyTorch that saves after every fourth step, with an augmentation that draws numbers.

LEAVE names what it leaves out, as a fault; WORKERS is how many processes load the data; SCALED=1 scales the loss.
"""

import os
import random
import sys
from pathlib import Path

import numpy
import seedbed
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

LEFT_OUT = os.environ.get("LEAVE", "").split(",")
EVERY, EPOCHS, BATCH = 4, 3, 8
WORKERS = int(os.environ.get("WORKERS", "0"))
SCALED = os.environ.get("SCALED") == "1"
SAVED = Path("checkpoint.pt")


class Noisy(Dataset):
    """Samples of four numbers, and their sum."""

    def __len__(self) -> int:
        return 80

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.arange(4.0 * index, 4.0 * index + 4).sin()
        return x + random.gauss(0, 0.01), x.sum(0, keepdim=True)


def main() -> None:
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=5, enabled=SCALED)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "scaler": scaler}
    loader = DataLoader(Noisy(), BATCH, shuffle=True, num_workers=WORKERS)
    saved = torch.load(SAVED, weights_only=True) if SAVED.exists() else {"epoch": 0, "done": 0}
    for name, part in parts.items():
        if name in saved and name not in LEFT_OUT:
            part.load_state_dict(saved[name])
    if "statistics" in LEFT_OUT:
        model[1].reset_running_stats()

    for epoch in range(saved["epoch"], EPOCHS):
        goes_on = epoch == saved["epoch"] and saved["done"] > 0  # in the middle of this epoch
        done = saved["done"] if goes_on and "position" not in LEFT_OUT else 0
        if goes_on and "generators" not in LEFT_OUT:
            seedbed.restore(saved["begun"])
        begun = seedbed.state()
        batches = iter(loader)
        for _ in range(done):
            next(batches)  # the same order, and the same draws in workers and transforms
        if goes_on and "generators" not in LEFT_OUT:
            seedbed.restore(saved["now"])
        for x, y in batches:
            loss = nn.functional.mse_loss(model(x + numpy.random.normal(0, 0.01)), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            done += 1
            if done % EVERY == 0:
                now = {"epoch": epoch, "done": done, "begun": begun, "now": seedbed.state()}
                torch.save(now | {name: part.state_dict() for name, part in parts.items()}, "partial.pt")
                Path("partial.pt").replace(SAVED)
        print(f"epoch {epoch + 1}: {loss.item():.6f}")


if __name__ == "__main__":
    sys.exit(main())
