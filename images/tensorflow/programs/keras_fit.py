"""Keras: fit of a convolutional network with augmentation and dropout."""

import digits
import keras
import record
from keras import layers

if __name__ == "__main__":
    images, labels = digits.load()[0]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.RandomTranslation(1 / 8, 1 / 8, fill_mode="constant"),
            layers.RandomRotation(0.05),
            layers.GaussianNoise(0.1),
            layers.Conv2D(16, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images[..., None], labels, batch_size=64, epochs=2, validation_split=0.1, verbose=0)
    print("parameters sha256:", record.sha256(model.get_weights()))
