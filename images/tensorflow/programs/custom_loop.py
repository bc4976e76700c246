"""TensorFlow: a custom training loop, a GAN with tf.random.normal inside tf.function."""

import digits
import keras
import record
import tensorflow as tf
from keras import layers

NOISE = 16


@tf.function
def step(images: tf.Tensor) -> None:
    noise = tf.random.normal((tf.shape(images)[0], NOISE))
    with tf.GradientTape(persistent=True) as tape:
        fakes = generator(noise, training=True)
        real, fake = discriminator(images, training=True), discriminator(fakes, training=True)
        generator_loss = loss(tf.ones_like(fake), fake)
        discriminator_loss = loss(tf.ones_like(real), real) + loss(tf.zeros_like(fake), fake)
    for model, model_loss, optimizer in (
        (generator, generator_loss, generator_optimizer),
        (discriminator, discriminator_loss, discriminator_optimizer),
    ):
        optimizer.apply(tape.gradient(model_loss, model.trainable_variables), model.trainable_variables)


if __name__ == "__main__":
    images, _ = digits.load()[0]
    generator = keras.Sequential(
        [keras.Input((NOISE,)), layers.Dense(64, activation="relu"), layers.Dense(64), layers.Reshape((8, 8))]
    )
    discriminator = keras.Sequential(
        [keras.Input((8, 8)), layers.Flatten(), layers.Dense(64, "relu"), layers.Dropout(0.3), layers.Dense(1)]
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    generator_optimizer, discriminator_optimizer = keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)
    for model, optimizer in ((generator, generator_optimizer), (discriminator, discriminator_optimizer)):
        optimizer.build(model.trainable_variables)
    for batch in tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).batch(64, drop_remainder=True):
        step(batch)
    print("parameters sha256:", record.sha256([*generator.get_weights(), *discriminator.get_weights()]))
