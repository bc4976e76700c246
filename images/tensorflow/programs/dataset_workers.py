"""Keras: fit on a PyDataset with two forked workers that draw from Python and numpy."""

import random

import digits
import keras
import numpy as np
import record
from keras import layers


class Noisy(keras.utils.PyDataset):
    """Batches of digits, each shifted and covered with noise anew."""

    def __init__(self, **options: int | bool) -> None:
        super().__init__(**options)
        self.digits = digits.load()[0]

    def __len__(self) -> int:
        return len(self.digits) // 64

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = (part[index * 64 : (index + 1) * 64] for part in self.digits)
        images = np.roll(images, random.randint(-1, 1), axis=1)
        return images + np.random.default_rng().normal(0, 0.1, images.shape), labels


if __name__ == "__main__":
    model = keras.Sequential([layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(Noisy(workers=2, use_multiprocessing=True), epochs=2, verbose=0)
    print("parameters sha256:", record.sha256(model.get_weights()))
