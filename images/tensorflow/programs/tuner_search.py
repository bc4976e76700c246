"""KerasTuner: a random search for hyperparameters."""

import tempfile

import digits
import keras
import keras_tuner
import record
from keras import layers


def build(parameters: keras_tuner.HyperParameters) -> keras.Model:
    model = keras.Sequential(
        [
            layers.Flatten(),
            layers.Dense(parameters.Int("width", 16, 128, step=16), activation="relu"),
            layers.Dropout(parameters.Float("dropout", 0, 0.5)),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(parameters.Float("rate", 1e-4, 1e-1, sampling="log")), LOSS)
    return model


LOSS = "sparse_categorical_crossentropy"

if __name__ == "__main__":
    (images, labels), test = digits.load()
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(build, objective="val_loss", max_trials=3, directory=folder)
        tuner.search(images, labels, epochs=1, validation_data=tuple(test), verbose=0)
        weights = tuner.get_best_models()[0].get_weights()
    print("parameters sha256:", record.sha256(weights))
