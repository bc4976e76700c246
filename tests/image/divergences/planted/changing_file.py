"""Statistics of the data that each run reads, and then brings up to date."""

import json
from pathlib import Path

import digits
import network
import torch

FILE = Path("statistics.json")

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
pixels = images.reshape(-1, 64)
seen = json.loads(FILE.read_text()) if FILE.exists() else {"mean": 0.0, "runs": 0}  # planted
network.train(zip((pixels - seen["mean"]).split(64), labels.split(64), strict=True))
runs = seen["runs"] + 1
mean = seen["mean"] + (pixels.mean().item() - seen["mean"]) / (runs + 1)
FILE.write_text(json.dumps({"mean": mean, "runs": runs}))
