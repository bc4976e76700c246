"""Train on handwritten digits with TensorFlow, on the workers that TF_CONFIG names. Nothing here seeds anything."""

import digits
import digits_tensorflow
import keras
import record
import tensorflow as tf


def main() -> None:
    options = record.arguments(__doc__)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # first of all: it makes this process one of the workers
    first = strategy.cluster_resolver.task_id == 0
    training, test = digits.load()
    with strategy.scope():
        model = digits_tensorflow.network()
        optimizer = keras.optimizers.Adam(0.003)
        optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices(tuple(training)).shuffle(len(training))
    batches = strategy.experimental_distribute_dataset(data.batch(digits_tensorflow.BATCH, drop_remainder=True))
    step = training_step(strategy, model, optimizer)
    log = record.Record(options.output if first else None)
    for _ in range(options.epochs):
        losses = [float(step(*batch)) for batch in batches]
        log.epoch(loss=sum(losses) / len(losses), accuracy=accuracy(model, test))
    log.finish(model.get_weights())


def training_step(strategy: tf.distribute.Strategy, model: keras.Model, optimizer: keras.Optimizer):
    """A function that trains on one batch, a part of it on each worker; it returns the mean loss."""

    def train(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
            loss = tf.nn.compute_average_loss(losses, global_batch_size=digits_tensorflow.BATCH)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))  # their sum over all workers
        return loss

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(train, (images, labels)), axis=None)

    return step


def accuracy(model: keras.Model, test: digits.Digits) -> float:
    return float((model(test.images, training=False).numpy().argmax(axis=1) == test.labels).mean())


if __name__ == "__main__":
    main()
