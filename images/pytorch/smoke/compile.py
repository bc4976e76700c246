"""torch.compile trains like eager mode, to the same bits (CPU)."""

import copy
import sys
from collections.abc import Callable

import torch
from torch import nn

TOLERANCE = 1e-5  # absolute; parameters are around 0.1


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8))
    eager = train(model, lambda module: module)
    try:
        compiled, again = (train(model, torch.compile) for _ in range(2))
    except RuntimeError as error:  # it ends with general advice; what went wrong comes first
        sys.exit(f"torch.compile: {str(error).splitlines()[0]}")
    difference = (compiled - eager).abs().max().item()
    if difference > TOLERANCE:
        sys.exit(f"compiled and eager training end up to {difference:.1e} apart; at most {TOLERANCE:.0e} is expected")
    if not torch.equal(compiled, again):
        sys.exit("two compiled trainings from the same start end with different bits")
    print(f"compiled and eager training end at most {difference:.1e} apart; compiled twice: equal bits")


def train(model: nn.Module, prepare: Callable[[nn.Module], nn.Module]) -> torch.Tensor:
    """All parameters, in one row, after a few steps of a fresh copy of the model on fixed data."""
    model = copy.deepcopy(model)
    step = prepare(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    inputs = torch.linspace(-1, 1, 16 * 32).reshape(16, 32)
    for _ in range(3):
        optimizer.zero_grad()
        step(inputs).square().mean().backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


if __name__ == "__main__":
    main()
