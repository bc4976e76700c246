"""Train a small convolutional network on handwritten digits with Keras 3 on any backend. Nothing here seeds anything.

`KERAS_BACKEND` chooses it: tensorflow (Keras' default), torch or jax.
"""

import digits
import keras
import numpy as np
import record
from keras import layers

BATCH = 64


class Shuffled(keras.utils.PyDataset):
    """Batches of digits, in a new order in each epoch."""

    def __init__(self, part: digits.Digits) -> None:
        super().__init__()
        self.part = part
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.part) // BATCH)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = self.order[index * BATCH : (index + 1) * BATCH]
        return self.part.images[batch], self.part.labels[batch]

    def on_epoch_end(self) -> None:
        self.order = np.random.permutation(len(self.part))


def main() -> None:
    options = record.arguments(__doc__.partition("\n")[0])
    training, test = digits.load()
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    log = record.Record(options.output)
    model.fit(
        Shuffled(training),
        validation_data=tuple(test),
        epochs=options.epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: write(log, logs))],
        verbose=0,
    )
    log.finish(model.get_weights())


def network() -> keras.Model:
    """From images of shape (n, 8, 8) to logits of shape (n, 10)."""
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )


def write(log: record.Record, logs: dict[str, float]) -> None:
    log.epoch(loss=logs["loss"], accuracy=logs["val_accuracy"])


if __name__ == "__main__":
    main()
