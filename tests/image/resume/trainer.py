"""transformers' Trainer, as its documentation resumes it. NOISE=1: the data set draws numbers, as augmentation does.

BY_INDEX=1: it draws those of a sample from a generator that begins with the sample's index.
"""

import os
import random

import torch
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

OUTPUT = "trainer"
BY_INDEX = os.environ.get("BY_INDEX") == "1"
NOISE, WORKERS = os.environ.get("NOISE") == "1", int(os.environ.get("WORKERS", "0"))


class Samples(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 80

    def __getitem__(self, index: int) -> dict:
        x = torch.arange(4.0 * index, 4.0 * index + 4).sin()
        drawn = random.Random(index).gauss(0, 0.01) if BY_INDEX else random.gauss(0, 0.01) if NOISE else 0.0
        return {"x": x + drawn, "labels": x.sum(0, keepdim=True)}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))

    def forward(self, x, labels=None, **_):
        return {"loss": nn.functional.mse_loss(self.layers(x), labels)}


arguments = TrainingArguments(
    OUTPUT,
    num_train_epochs=3,
    per_device_train_batch_size=8,
    save_steps=4,
    dataloader_num_workers=WORKERS,
    report_to=[],
    use_cpu=True,
)
try:
    last = get_last_checkpoint(OUTPUT)
except FileNotFoundError:
    last = None
Trainer(Model(), arguments, train_dataset=Samples()).train(resume_from_checkpoint=last)
