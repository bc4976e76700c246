"""Keras' `fit` with BackupAndRestore. RECIPE=1: one epoch a call, in an order from numpy, with `seedbed.state()`.

A checkpoint of weights lacks the generators of layers, which the recipe saves by name.
"""

import os
import pickle
from pathlib import Path

import keras
import numpy as np
import seedbed

EPOCHS, BATCH = 4, 8
RECIPE = os.environ.get("RECIPE") == "1"
SAVED, GENERATORS = Path("model.keras"), Path("generators.pickle")
x = np.sin(np.arange(320.0)).reshape(80, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)


def made() -> keras.Model:
    layers = [
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.2, name="dropout"),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


if RECIPE:
    first = 0
    model = keras.models.load_model(SAVED) if GENERATORS.exists() else made()
    own = {"dropout": model.get_layer("dropout").seed_generator}
    if GENERATORS.exists():
        first, state = pickle.loads(GENERATORS.read_bytes())
        seedbed.restore(state, **own)
    for epoch in range(first, EPOCHS):
        order = np.random.permutation(len(x))
        model.fit(x[order], y[order], batch_size=BATCH, shuffle=False, verbose=0)
        model.save(SAVED)
        GENERATORS.write_bytes(pickle.dumps((epoch + 1, seedbed.state(**own))))
else:
    backup = keras.callbacks.BackupAndRestore("backup", delete_checkpoint=False)
    made().fit(x, y, batch_size=BATCH, epochs=EPOCHS, callbacks=[backup], verbose=0)
