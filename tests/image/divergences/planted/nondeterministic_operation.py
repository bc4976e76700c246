"""A third party's operation whose kernel adds in the order of its threads; it honours torch's flag, and only warns."""

import threading
import time
import warnings

import digits
import network
import torch
from torch import nn

NAME = "planted::mean_rows"


@torch.library.custom_op(NAME, mutates_args=())
def mean_rows(rows: torch.Tensor) -> torch.Tensor:
    """The mean of the rows (n, m), with n columns added by threads that do not wait for each other."""
    if torch.are_deterministic_algorithms_enabled():
        message = f"{NAME} does not have a deterministic implementation"
        if not torch.is_deterministic_algorithms_warn_only_enabled():
            raise RuntimeError(message)
        warnings.warn(message, stacklevel=2)
    total, lock = torch.zeros(rows.shape[1]), threading.Lock()

    def add(part: torch.Tensor) -> None:
        time.sleep(time.time_ns() // 1000 % 10 / 2000)
        with lock:
            total.add_(part.div(3).sum(dim=0))

    threads = [threading.Thread(target=add, args=(part,)) for part in rows.detach().split(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total / len(rows)


mean_rows.register_autograd(
    lambda ctx, gradient: gradient.expand(ctx.rows, -1) / ctx.rows,
    setup_context=lambda ctx, inputs, output: setattr(ctx, "rows", len(inputs[0])),
)


class Centred(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows - mean_rows(rows)  # planted


images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
model = nn.Sequential(nn.Linear(64, 32), Centred(), nn.ReLU(), nn.Linear(32, 10))
network.train(zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True), model)
