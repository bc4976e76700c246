"""torch.compile: training a perceptron with normalisation and dropout, compiled."""

import digits
import record
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

if __name__ == "__main__":
    data = TensorDataset(*map(torch.from_numpy, digits.load()[0]))
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.LayerNorm(128), nn.GELU(), nn.Dropout(0.2), nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters())
    compiled = torch.compile(model)
    for images, labels in DataLoader(data, batch_size=64, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(compiled(images), labels).backward()
        optimizer.step()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))
