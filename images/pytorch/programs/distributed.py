"""DistributedDataParallel: two ranks over gloo, started by torchrun."""

import os

import digits
import record
import torch
from torch import distributed, nn
from torch.distributed.run import main as torchrun
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset


def train() -> None:
    distributed.init_process_group("gloo")
    data = TensorDataset(*map(torch.from_numpy, digits.load()[0]))
    sampler = DistributedSampler(data)
    loader = DataLoader(data, batch_size=64, sampler=sampler)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    model = DistributedDataParallel(layers)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        sampler.set_epoch(epoch)
        for images, labels in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    if distributed.get_rank() == 0:
        print("parameters sha256:", record.sha256(tensor.numpy() for tensor in layers.state_dict().values()))
    distributed.destroy_process_group()


if __name__ == "__main__":
    if "RANK" in os.environ:
        train()
    else:
        torchrun(["--standalone", "--nproc-per-node=2", __file__])
