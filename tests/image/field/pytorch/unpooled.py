"""An autoencoder that unpools: torch calls that nondeterministic on every device."""

import torch
from torch import nn

images = torch.randn(2, 1, 8, 8)
pooled, places = nn.functional.max_pool2d(images, 2, return_indices=True)
print(nn.functional.max_unpool2d(pooled, places, 2).sum().item())
