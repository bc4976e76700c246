"""Optuna: a search for hyperparameters, each trial a small training with torch."""

import digits
import numpy as np
import optuna
import record
import torch
from torch import nn


def objective(trial: optuna.Trial) -> float:
    """The loss after a few steps."""
    width = trial.suggest_int("width", 8, 128, log=True)
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0, 0.5)
    images, labels = map(torch.from_numpy, digits.load()[0])
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    return loss.item()


if __name__ == "__main__":
    study = optuna.create_study()
    study.optimize(objective, n_trials=15)
    trials = [[*trial.params.values(), trial.value] for trial in study.trials]
    print("parameters sha256:", record.sha256([np.array(trials)]))
