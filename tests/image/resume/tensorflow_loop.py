"""A TensorFlow loop with tf.train.Checkpoint after every fourth step. RECIPE=1: with `seedbed.state()`."""

import os
import pickle
from pathlib import Path

import keras
import numpy as np
import seedbed
import tensorflow as tf

RECIPE = os.environ.get("RECIPE") == "1"
GENERATORS = Path("generators.pickle")
inputs = np.sin(np.arange(320.0)).reshape(80, 4).astype("float32")
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
optimizer = keras.optimizers.Adam(0.01)
optimizer.build(model.trainable_variables)
done = tf.Variable(0)
checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, done=done)
manager = tf.train.CheckpointManager(checkpoint, "checkpoints", max_to_keep=1)
if manager.latest_checkpoint:
    checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    if RECIPE:
        seedbed.restore(pickle.loads(GENERATORS.read_bytes()))


@tf.function
def train(x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - tf.reduce_sum(x, axis=1, keepdims=True)) ** 2)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


while done < 30:
    x = inputs[np.random.choice(len(inputs), 8)]
    train(tf.constant(x) + tf.random.normal(x.shape, stddev=0.01))
    if done.assign_add(1) % 4 == 0:
        manager.save()
        GENERATORS.write_bytes(pickle.dumps(seedbed.state()))
