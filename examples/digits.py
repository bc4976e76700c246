"""The UCI handwritten digits: 1797 grey images of 8 by 8 pixels with their labels (README.md tells their origin)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

FILE = Path(__file__).resolve().parent / "digits.csv.gz"
TRAINING_SHARE = 0.8


class Digits(NamedTuple):
    """Images as float32 of shape (n, 8, 8) from 0 (paper) to 1 (ink); labels as int64 of shape (n,) from 0 to 9."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def load() -> tuple[Digits, Digits]:
    """The training and the test digits: the first 1437 of the file and the other 360, in the file's order."""
    table = np.loadtxt(FILE, delimiter=",", dtype=np.int64)
    images = table[:, :64].reshape(-1, 8, 8).astype(np.float32) / 16
    labels = table[:, 64]
    split = int(len(table) * TRAINING_SHARE)
    return Digits(images[:split], labels[:split]), Digits(images[split:], labels[split:])
