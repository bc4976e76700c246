"""accelerate's `save_state` and `load_state`, as its documentation resumes within an epoch; RECIPE=1: exactly."""

import json
import os
import random
from pathlib import Path

import seedbed
import torch
from accelerate import Accelerator, DataLoaderConfiguration, skip_first_batches
from torch import nn
from torch.utils.data import DataLoader, Dataset

EVERY, EPOCHS, BATCH = 4, 3, 8
RECIPE = os.environ.get("RECIPE") == "1"
SAVED, POSITION, GENERATORS = "saved", Path("position.json"), Path("generators.pt")


class Noisy(Dataset):
    def __len__(self) -> int:
        return 80

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.arange(4.0 * index, 4.0 * index + 4).sin()
        return x + random.gauss(0, 0.01), x.sum(0, keepdim=True)


accelerator = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True))
model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
model, optimizer, loader = accelerator.prepare(model, optimizer, DataLoader(Noisy(), BATCH, shuffle=True))
first, skipped = 0, 0
if POSITION.exists():
    accelerator.load_state(SAVED)
    first, skipped = json.loads(POSITION.read_text())

for epoch in range(first, EPOCHS):
    loader.set_epoch(epoch)
    goes_on = epoch == first and skipped > 0
    done = skipped if goes_on else 0
    if RECIPE:  # pass over the batches of this epoch, with what they drew
        saved = torch.load(GENERATORS, weights_only=True) if goes_on else {}
        if goes_on:
            seedbed.restore(saved["begun"])
        begun = seedbed.state()
        batches = iter(loader)
        for _ in range(done):
            next(batches)
        if goes_on:
            seedbed.restore(saved["now"])
    else:
        batches = skip_first_batches(loader, done) if goes_on else loader
    for x, y in batches:
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        done += 1
        if done % EVERY == 0:
            accelerator.save_state(SAVED)
            if RECIPE:
                torch.save({"begun": begun, "now": seedbed.state()}, GENERATORS)
            POSITION.write_text(json.dumps([epoch, done]))
    print(f"epoch {epoch + 1}: {loss.item():.6f}")
