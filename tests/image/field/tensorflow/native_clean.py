"""A training whose libraries draw entropy only for names: of steps and devices."""

import keras
import numpy as np
import tensorflow as tf

data = tf.data.Dataset.from_tensor_slices((np.zeros((8, 3)), np.zeros((8, 2)))).shuffle(8).batch(2)
model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5)])
model.compile(loss="mse")
model.fit(data, verbose=0)
