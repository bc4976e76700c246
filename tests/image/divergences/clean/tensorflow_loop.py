"""TensorFlow: a loop of its own, compiled with tf.function, with random noise; and a second phase without."""

import digits
import keras
import tensorflow as tf

images, labels = (part[:512] for part in digits.load()[0])
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)])
optimizer = keras.optimizers.SGD(0.1)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def step(pixels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        loss = loss_of(targets, model(pixels + 0.1 * tf.random.normal(tf.shape(pixels)), training=True))
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    return loss


for pixels, targets in tf.data.Dataset.from_tensor_slices((images.reshape(-1, 64), labels)).shuffle(512).batch(64):
    print(f"loss {step(pixels, targets).numpy():.9f}")

forward = tf.function(lambda pixels: model(pixels))
for pixels, targets in tf.data.Dataset.from_tensor_slices((images.reshape(-1, 64), labels)).batch(64):
    forward(pixels)
    with tf.GradientTape() as tape:
        loss = loss_of(targets, forward(pixels))
    optimizer.apply_gradients(
        zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True)
    )
