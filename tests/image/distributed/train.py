"""A small training on the CPU, for any number of ranks: `train.py ddp`, `fsdp` or `fsdp2`, or several in turn.

It shuffles, drops out, loads its data in a worker and draws noise there. If SAVED names a folder, it saves there after
every fourth step, and resumes by itself: DDP with torch.save, FSDP with torch.distributed.checkpoint, and with a file
of generators for each rank.
LEAVE names what it leaves out: the `noise`, or, as a fault, the sampler's `epoch` or the `generators` when it resumes.
NOISY_RANK names a rank that adds noise from the operating system, as a fault.
"""

import hashlib
import os
import random
import sys
from pathlib import Path

import seedbed
import torch
from torch import distributed, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

LEFT_OUT = os.environ.get("LEAVE", "").split(",")
EVERY, EPOCHS, BATCH, SAMPLES = 4, 2, 4, 96
SAVED = Path(os.environ.get("SAVED", "/nowhere")) / "newest"


class Noisy(Dataset):
    """Samples of four numbers, and their sum."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.arange(4.0 * index, 4.0 * index + 4).sin()
        noise = 0.0 if "noise" in LEFT_OUT else random.gauss(0, 0.01)
        return x + noise, x.sum(0, keepdim=True)


class Training:
    """What is saved: the whole of it is a state of torch.distributed.checkpoint."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
        mesh = distributed.init_device_mesh("cpu", (distributed.get_world_size(),))
        self.model = {
            "ddp": lambda: DistributedDataParallel(layers),
            "fsdp": lambda: FullyShardedDataParallel(layers, device_id=torch.device("cpu"), device_mesh=mesh),
            "fsdp2": lambda: fully_shard(layers, mesh=mesh),
        }[kind]()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)

    def state(self) -> dict:
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer}

    def save(self, of_rank: dict) -> None:
        """What belongs to all, and each rank's own; a link points to the newest that is whole."""
        folder = SAVED.with_name(f"{of_rank['epoch']}-{of_rank['done']}")
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(of_rank, folder / f"rank{distributed.get_rank()}.pt")
        if self.kind != "ddp":
            checkpoint.save(self.state(), checkpoint_id=folder)
        elif distributed.get_rank() == 0:
            torch.save(self.state(), folder / "model.pt")
        distributed.barrier()
        if distributed.get_rank() == 0:
            link = SAVED.with_name("partial")
            link.unlink(missing_ok=True)
            link.symlink_to(folder.name)
            link.replace(SAVED)

    def load(self) -> dict:
        """The rank's own."""
        state = self.state()
        if self.kind == "ddp":
            state = torch.load(SAVED / "model.pt", weights_only=True)
        else:
            checkpoint.load(state, checkpoint_id=SAVED)
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        return torch.load(SAVED / f"rank{distributed.get_rank()}.pt", weights_only=True)


def train(kind: str) -> None:
    training = Training(kind)
    sampler = DistributedSampler(data := Noisy())
    loader = DataLoader(data, BATCH, sampler=sampler, num_workers=1)
    saved = training.load() if SAVED.exists() else {"epoch": 0, "done": 0}
    for epoch in range(saved["epoch"], EPOCHS):
        goes_on = epoch == saved["epoch"] and saved["done"] > 0
        if not (goes_on and "epoch" in LEFT_OUT):
            sampler.set_epoch(epoch)
        if goes_on and "generators" not in LEFT_OUT:
            seedbed.restore(saved["begun"])
        begun = seedbed.state()
        batches = iter(loader)
        done = saved["done"] if goes_on else 0
        for _ in range(done):
            next(batches)
        if goes_on and "generators" not in LEFT_OUT:
            seedbed.restore(saved["now"])
        for x, y in batches:
            if os.environ.get("NOISY_RANK") == str(distributed.get_rank()):
                x = x + random.SystemRandom().random()
            training.optimizer.zero_grad()
            nn.functional.mse_loss(training.model(x), y).backward()
            training.optimizer.step()
            done += 1
            if "SAVED" in os.environ and done % EVERY == 0:
                training.save({"epoch": epoch, "done": done, "begun": begun, "now": seedbed.state()})
    digest = hashlib.sha256()
    for tensor in training.model.parameters():
        local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
        digest.update(local.detach().numpy().tobytes())
    words = "rank", distributed.get_rank(), kind, "threads", torch.get_num_threads(), digest.hexdigest()
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # at once: ranks share it


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    for kind in sys.argv[1:]:
        train(kind)
    distributed.destroy_process_group()
