"""The time of day as the seed."""

import time

import digits
import network
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(int(time.time() * 1000))  # planted
images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
network.train(DataLoader(TensorDataset(images.reshape(-1, 64), labels), batch_size=64, shuffle=True))
