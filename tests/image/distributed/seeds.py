"""Says which seed each rank has, and the numbers that follow: Python's, a dropout mask, and those of a worker.

`seeds.py` is a rank of a launcher; `seeds.py spawn` (or fork) starts two itself.
"""

import random
import socket
import sys

import torch
from torch import distributed, multiprocessing, nn
from torch.utils.data import DataLoader


def drawn(_: list) -> float:
    return random.random()


def tell() -> None:
    mask = nn.functional.dropout(torch.ones(16)).gt(0).int().tolist()
    (in_worker,) = DataLoader([0], num_workers=1, collate_fn=drawn)
    words = "rank", distributed.get_rank(), torch.initial_seed(), random.random(), "".join(map(str, mask)), in_worker
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # at once: ranks share it
    distributed.destroy_process_group()


def rank(number: int, address: str) -> None:
    distributed.init_process_group("gloo", init_method=address, rank=number, world_size=2)
    tell()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        multiprocessing.start_processes(rank, (address,), 2, start_method=sys.argv[1])
    else:
        distributed.init_process_group("gloo")
        tell()
