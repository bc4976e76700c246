"""Accelerate: a training loop around prepare() and backward()."""

import digits
import record
import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

if __name__ == "__main__":
    accelerator = Accelerator(cpu=True)
    data = TensorDataset(*map(torch.from_numpy, digits.load()[0]))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    model, optimizer, loader = accelerator.prepare(
        model, torch.optim.AdamW(model.parameters()), DataLoader(data, batch_size=64, shuffle=True)
    )
    for _ in range(3):
        for images, labels in loader:
            optimizer.zero_grad()
            accelerator.backward(nn.functional.cross_entropy(model(images), labels))
            optimizer.step()
    parameters = accelerator.unwrap_model(model).state_dict()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in parameters.values()))
