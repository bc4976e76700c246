"""Train the network of digits_torch.py on several ranks, which torchrun starts. Nothing here seeds anything."""

import os

import digits
import digits_torch
import record
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler


def main() -> None:
    options = record.arguments(__doc__)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group()  # gloo on CPUs, NCCL on GPUs
    training, test = (digits_torch.tensors(part) for part in digits.load())
    sampler = DistributedSampler(training)  # a share of the digits for each rank
    loader = DataLoader(training, digits_torch.BATCH // distributed.get_world_size(), sampler=sampler)
    model = DistributedDataParallel(digits_torch.network().to(digits_torch.DEVICE))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    log = record.Record(options.output) if distributed.get_rank() == 0 else None
    for epoch in range(options.epochs):
        sampler.set_epoch(epoch)
        loss = mean_of_ranks(digits_torch.train(model, optimizer, loader))
        if log:
            log.epoch(loss=loss, accuracy=digits_torch.accuracy(model.module, test))
    if log:
        log.finish(tensor.cpu().numpy() for tensor in model.module.state_dict().values())
    distributed.destroy_process_group()


def mean_of_ranks(value: float) -> float:
    total = torch.tensor(value, dtype=torch.float64, device=digits_torch.DEVICE)
    distributed.all_reduce(total)
    return total.item() / distributed.get_world_size()


if __name__ == "__main__":
    main()
