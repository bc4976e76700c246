"""A model whose layers are initialised in the order of a set, that is, of their addresses."""

import torch
from torch import nn


class Ensemble:
    def __init__(self, size: int) -> None:
        self.members = [nn.Linear(8, 8) for _ in range(size)]
        self.fresh = set(self.members)

    def initialise(self) -> None:
        for member in self.fresh:  # the line to name
            nn.init.uniform_(member.weight)


ensemble = Ensemble(200)
ensemble.initialise()
print(torch.stack([member.weight[0, 0] for member in ensemble.members]).tolist())
