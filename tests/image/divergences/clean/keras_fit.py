"""Keras: predict, then fit with augmentation, dropout, validation and a shuffled, parallel data set."""

import digits
import keras
import tensorflow as tf
from keras import layers

images, labels = (part[:512] for part in digits.load()[0])
data = tf.data.Dataset.from_tensor_slices((images[..., None], labels)).shuffle(512)
data = data.map(lambda image, label: (image * 2 - 1, label), num_parallel_calls=2).batch(64).prefetch(2)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.RandomTranslation(1 / 8, 1 / 8),
        layers.Conv2D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(10),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.predict(images[..., None], verbose=0)
model.fit(data, epochs=2, validation_data=(images[:64, ..., None], labels[:64]), verbose=2)
