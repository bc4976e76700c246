"""A sum whose terms are added as the threads that compute them come to an end."""

from concurrent.futures import ThreadPoolExecutor, as_completed

import digits
import network
import torch

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
pixels = images.reshape(-1, 64)


def share(rows: torch.Tensor) -> torch.Tensor:
    return rows.div(3).square().sum(dim=0)


with ThreadPoolExecutor(4) as pool:
    total = torch.zeros(64)
    for done in as_completed([pool.submit(share, rows) for rows in pixels.split(2)]):  # planted
        total += done.result()

scaled = pixels / (total / len(pixels) + 1e-3).sqrt()
network.train(zip(scaled.split(64), labels.split(64), strict=True))
