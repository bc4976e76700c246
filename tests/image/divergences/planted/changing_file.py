"""TensorFlow: weights of the classes in a file that each run reads, and then brings up to date."""

from pathlib import Path

import digits
import keras
import tensorflow as tf

FILE = Path("weights.csv")

images, labels = (part[:512] for part in digits.load()[0])
weights = tf.ones(10)
if FILE.exists():
    weights = tf.stack([tf.strings.to_number(line) for line in tf.data.TextLineDataset(str(FILE))])  # planted
model = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(images, labels, sample_weight=tf.gather(weights, labels).numpy(), batch_size=64, verbose=2)
misses = tf.cast(tf.argmax(model(images), axis=1) != labels, tf.float32)
harder = weights + tf.math.unsorted_segment_mean(misses, labels, 10)
FILE.write_text("".join(f"{weight:.9f}\n" for weight in harder.numpy()))
