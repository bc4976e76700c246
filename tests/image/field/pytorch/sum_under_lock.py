"""Threads that add their parts to one sum, in the order in which they get the lock."""

import threading

import torch

lock, total = threading.Lock(), torch.zeros(64)


def add(part: torch.Tensor) -> None:
    global total
    share = part.square().mean(dim=0)
    with lock:
        total = total + share  # the line to name


threads = [threading.Thread(target=add, args=(part,)) for part in torch.randn(64, 64).split(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total.sum().item())
