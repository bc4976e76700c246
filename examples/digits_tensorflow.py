"""Train a small convolutional network on handwritten digits with TensorFlow and Keras. Nothing here seeds anything."""

import digits
import keras
import record
import tensorflow as tf
from keras import layers

BATCH = 64


def main() -> None:
    options = record.arguments(__doc__)
    training, test = digits.load()
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    log = record.Record(options.output)
    model.fit(
        tf.data.Dataset.from_tensor_slices(tuple(training)).shuffle(len(training)).batch(BATCH),
        validation_data=tf.data.Dataset.from_tensor_slices(tuple(test)).batch(BATCH),
        epochs=options.epochs,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: write(log, logs))],
        shuffle=False,  # the dataset shuffles itself, anew in each epoch
        verbose=0,
    )
    log.finish(model.get_weights())


def network() -> keras.Model:
    """From images of shape (n, 8, 8) to logits of shape (n, 10); shifts the training images by up to a pixel."""
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Reshape((8, 8, 1)),
            layers.RandomTranslation(1 / 8, 1 / 8, fill_mode="constant"),
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
