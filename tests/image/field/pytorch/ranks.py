"""Lightning starts the other rank itself (strategy="ddp"); each rank prints its seed."""

import sys

import torch
from lightning.pytorch import LightningModule, Trainer


class Seed(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        return self.layer(batch).sum()

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.ones(4, 1))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def on_train_start(self):
        sys.stdout.write(f"rank {self.global_rank} seed {torch.initial_seed()}\n")  # at once: ranks share it
        sys.stdout.flush()


if __name__ == "__main__":
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    Trainer(accelerator="cpu", devices=2, strategy="ddp", max_steps=1, **quiet).fit(Seed())
