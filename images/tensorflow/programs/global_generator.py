"""TensorFlow: variables drawn from tf.random.Generator, split from the global generator."""

import digits
import record
import tensorflow as tf


def gradients(weights: list[tf.Variable], images: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        hidden = tf.nn.relu(images @ weights[0]) * mask
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, hidden @ weights[1]))
    return tape.gradient(loss, weights)


if __name__ == "__main__":
    images, labels = map(tf.constant, digits.load()[0])
    images = tf.reshape(images, (-1, 64))
    initial, dropout = tf.random.get_global_generator().split(2)
    weights = [tf.Variable(initial.normal(shape, stddev=0.1)) for shape in ((64, 32), (32, 10))]
    for _ in range(50):
        chosen = tf.random.get_global_generator().uniform((64,), maxval=len(labels), dtype=tf.int32)
        mask = tf.cast(dropout.uniform((64, 32)) < 0.8, tf.float32)
        batch = tf.gather(images, chosen), tf.gather(labels, chosen)
        for weight, gradient in zip(weights, gradients(weights, *batch, mask), strict=True):
            weight.assign_sub(0.1 * gradient)
    print("parameters sha256:", record.sha256(weight.numpy() for weight in weights))
