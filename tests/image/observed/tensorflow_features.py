"""What a training may do with TensorFlow and Keras, one function each; prints what each has come to."""

import os
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

x = tf.reshape(tf.linspace(-1.0, 1.0, 32), [8, 4])
y = tf.reduce_sum(x, axis=1, keepdims=True)
LOAD = """
import sys, tensorflow as tf
from tensorflow import constant
x, y = (constant(eval(text)) for text in sys.argv[2:])
print(float(tf.saved_model.load(sys.argv[1]).signatures["train"](x=x, y=y)["loss"]))
"""


def loss_of(weights):
    return tf.reduce_mean((x @ weights - y) ** 2)


def variables_that_can_be_read_once():
    variables, optimizer = [keras.Variable(tf.zeros([4, 1]))], keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape:
        loss = loss_of(variables[0])
    optimizer.apply(tape.gradient(loss, variables), (variable for variable in variables))
    return variables


def variables_of_tensorflow():
    variable, optimizer = tf.Variable(tf.zeros([4, 1])), keras.optimizers.SGD(0.1)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = loss_of(variable)
        optimizer.apply(tape.gradient(loss, [variable]), [variable])
    return [variable]


def gradients_of_slices():
    variable, optimizer = tf.Variable(tf.ones([4, 2])), keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(variable, [1, 3]) ** 2)
    optimizer.apply([tape.gradient(loss, variable)], [variable])
    return [variable]


def gradients_of_numpy():
    variable = keras.Variable(tf.zeros([4, 1]))
    keras.optimizers.SGD(0.1).apply([np.ones([4, 1], np.float32)], [variable])
    return [variable]


def step(weights):
    with tf.GradientTape() as tape:
        loss = loss_of(weights)
    weights.assign_sub(0.1 * tape.gradient(loss, weights))
    return loss


def compiled_by_xla():
    weights = tf.Variable(tf.zeros([4, 1]))
    inner = tf.function(lambda: step(weights))
    inner()
    whole = tf.function(lambda: step(weights), jit_compile=True)
    whole.get_concrete_function()()
    whole.experimental_get_compiler_ir()(stage="hlo")
    tf.function(lambda: inner(), jit_compile=True)()
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    tf.function(lambda: strategy.run(lambda: step(weights)), jit_compile=True)()
    return [weights]


class Trained(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(tf.zeros([4, 1]))

    @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x"), tf.TensorSpec([None, 1], name="y")])
    def train(self, x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ self.weights - y) ** 2)
        self.weights.assign_sub(0.01 * tape.gradient(loss, self.weights))
        return {"loss": loss}


def saved_and_trained_by_others():
    module = Trained()
    tf.saved_model.save(module, "/tmp/saved", signatures={"train": module.train})
    again = tf.saved_model.load("/tmp/saved")
    again.train(x, y)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SEEDBED_")}
    command = [sys.executable, "-c", LOAD, "/tmp/saved", repr(x.numpy().tolist()), repr(y.numpy().tolist())]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=False)
    return [done.stdout or done.stderr]


class Layered(keras.Layer):
    def call(self, inputs, *, layer=1, original=0):
        return inputs * layer + original


def arguments_that_are_called_as_ours():
    return [Layered()(x, layer=2, original=1)]


def data_sets_of_data_sets():
    return [[int(value) for value in window] for window in tf.data.Dataset.range(4).window(2)]


def a_penalty_on_gradients():
    model, optimizer = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")]), keras.optimizers.SGD(0.1)
    model.build((8, 4))
    for _ in range(2):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(x)
                score = model(x)
            loss = tf.reduce_mean(score) + tf.reduce_mean(inner.gradient(score, x) ** 2)
        optimizer.apply(outer.gradient(loss, model.trainable_variables), model.trainable_variables)
    return model.weights


def two_losses_of_one_update():
    variables, optimizer = [tf.Variable(tf.zeros([4, 1])), tf.Variable(tf.ones([4, 1]))], keras.optimizers.SGD(0.1)
    for _ in range(2):
        with tf.GradientTape(persistent=True) as tape:
            losses = [loss_of(variable) for variable in variables]
        gradients = [tape.gradient(loss, variable) for loss, variable in zip(losses, variables, strict=True)]
        optimizer.apply(gradients, variables)
    return variables


def complex_numbers():
    weights, optimizer = tf.Variable(tf.complex(tf.ones([4, 1]), tf.ones([4, 1]))), keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(x, tf.complex64) @ weights) ** 2
    optimizer.apply([tape.gradient(loss, weights)], [weights])
    return [weights]


def replicas_of_a_strategy():
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    batches = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(4))
    with strategy.scope():
        weights, optimizer = tf.Variable(tf.zeros([4, 1])), keras.optimizers.SGD(0.1)

    def train(batch):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((batch @ weights - 1) ** 2)
        optimizer.apply([tape.gradient(loss, weights)], [weights])

    run = tf.function(lambda batch: strategy.run(train, (batch,)))
    for batch in batches:
        run(batch)
    return [weights]


def text(value):
    if isinstance(value, list):
        return [text(one) for one in value]
    return np.asarray(value).tobytes().hex() if hasattr(value, "shape") else str(value)


HELPERS = (loss_of, step, text)
for feature in [value for value in list(globals().values()) if getattr(value, "__module__", "") == "__main__"]:
    if not isinstance(feature, type) and feature not in HELPERS:
        print(feature.__name__, text(feature()))
