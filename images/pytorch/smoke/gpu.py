"""The GPU computes, repeats bits and refuses what cannot repeat."""

import os
import sys
from pathlib import Path

import torch
from torch import nn


def main() -> None:
    need_gpu(os.environ.get("SEEDBED_SMOKE_GPU", "auto"))
    print(f"{torch.cuda.device_count()} GPU: {torch.cuda.get_device_name()}")
    computes("cuda")
    repeats_bits("cuda")
    refuses_what_cannot_repeat("cuda")


def need_gpu(wanted: str) -> None:
    """Go on only with a GPU: without one, skip; fail where it is required or where PyTorch misses one that is there."""
    if wanted == "off":
        skip("switched off")
    if torch.cuda.is_available():
        return
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().partition("\n")[0]
    if wanted == "require" or list(Path("/dev").glob("nvidia[0-9]*")):
        sys.exit(f"PyTorch sees no GPU: {reason}")
    skip("no GPU here")


def skip(reason: str) -> None:
    print(reason)
    sys.exit(77)


def computes(device: str) -> None:
    left = torch.arange(64 * 64, dtype=torch.float32).reshape(64, 64) % 7  # small whole numbers: sums are exact
    if not torch.equal((left.to(device) @ left.T.to(device)).cpu(), left @ left.T):
        sys.exit("a matrix product on the GPU is wrong")


def repeats_bits(device: str) -> None:
    if not torch.equal(train(device), train(device)):
        sys.exit("two trainings on the GPU from one seed end with different bits")


def train(device: str) -> torch.Tensor:
    """All parameters, in one row, after a few steps of a small convolutional network."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, stride=2), nn.Flatten(), nn.Linear(32 * 49, 10)
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(20):
        images = torch.randn(64, 3, 16, 16, device=device)
        labels = torch.randint(10, (64,), device=device)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).cpu()


def refuses_what_cannot_repeat(device: str) -> None:
    try:
        torch.histc(torch.rand(1000, device=device))
    except RuntimeError as error:
        if "deterministic" in str(error):
            return
        raise
    sys.exit("torch.histc, which cannot repeat on a GPU, ran without an error in mode strict")


if __name__ == "__main__":
    main()
