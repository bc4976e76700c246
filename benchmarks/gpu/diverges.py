"""A training that does not repeat although everything is seeded: it sums floats in an order that is not fixed.

With deterministic algorithms switched off, threads add with atomics: on a GPU in `index_add`, on a CPU in `index_put`
with `accumulate`. A CPU needs two threads for that.
"""

import sys

import torch
from torch import nn


def main(device: str) -> None:
    torch.use_deterministic_algorithms(False)
    model = nn.Linear(64, 8).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(5):
        loss = summed(model(torch.randn(100_000, 64, device=device))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step}: loss {loss.item()}")


def summed(rows: torch.Tensor) -> torch.Tensor:
    """The rows added up into ten."""
    sums = torch.zeros(10, rows.shape[1], device=rows.device)
    place = torch.arange(len(rows), device=rows.device) % 10
    if rows.device.type == "cpu":
        return sums.index_put((place,), rows, accumulate=True)
    return sums.index_add(0, place, rows)


if __name__ == "__main__":
    main(sys.argv[1])
