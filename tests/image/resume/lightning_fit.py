"""Lightning. RECIPE=1: checkpoints at the end of an epoch, with `seedbed.state()` in a callback."""

import os
from pathlib import Path

import lightning
import seedbed
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

RECIPE = os.environ.get("RECIPE") == "1"
FOLDER = Path("checkpoints")


class Model(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def training_step(self, batch, _):
        x, y = batch
        return nn.functional.mse_loss(self.layers(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Generators(lightning.Callback):
    """The recipe. Restored before the training asks for its first batch, which is before `on_train_start`."""

    saved = None

    def state_dict(self) -> dict:
        return seedbed.state()

    def load_state_dict(self, state: dict) -> None:
        self.saved = state

    def on_fit_start(self, *_) -> None:
        if self.saved:
            seedbed.restore(self.saved)


if RECIPE:
    callbacks = [ModelCheckpoint(FOLDER, save_last=True, every_n_epochs=1, save_on_train_epoch_end=True), Generators()]
else:
    callbacks = [ModelCheckpoint(FOLDER, save_last=True, every_n_train_steps=4)]
inputs = torch.arange(320.0).reshape(80, 4).sin()
loader = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), 8, shuffle=True)
trainer = lightning.Trainer(
    max_epochs=3,
    accelerator="cpu",
    callbacks=callbacks,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Model(), loader, ckpt_path=str(FOLDER / "last.ckpt") if (FOLDER / "last.ckpt").exists() else None)
