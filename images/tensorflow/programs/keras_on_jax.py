"""JAX: Keras fit on its backend, a convolution with dropout, batch normalisation and augmentation."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import digits
import keras
import record
from keras import layers

if __name__ == "__main__":
    images, labels = digits.load()[0]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.RandomTranslation(0.1, 0.1),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images[..., None], labels, batch_size=64, epochs=2, verbose=0)
    print("parameters sha256:", record.sha256(model.get_weights()))
