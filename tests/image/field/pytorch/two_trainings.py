"""Two threads train at once: each its own model, or with the argument `shared` both the same, which is a race."""

import sys
import threading
import time

import torch
from torch import nn

torch.set_num_threads(1)
shared = sys.argv[1:] == ["shared"]
models = [nn.Linear(8, 4), nn.Linear(8, 4)]
rows = torch.randn(64, 8)


def train(number: int) -> None:
    model = models[0 if shared else number]
    optimizer = torch.optim.SGD([model.weight], lr=0.1)
    for step in range(20):
        time.sleep(time.time_ns() // 1000 % 5 / 1000)  # so that each run goes another way
        loss = (rows[step:] @ model.weight.detach().T).square().mean() + model(rows).square().mean()
        gradients = torch.autograd.grad(loss, [model.weight])
        model.weight.grad = gradients[0]
        optimizer.step()


threads = [threading.Thread(target=train, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("trained")
