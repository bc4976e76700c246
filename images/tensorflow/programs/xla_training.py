"""XLA: Keras fit with jit_compile=True, a recurrent network with dropout."""

import digits
import keras
import record
from keras import layers

if __name__ == "__main__":
    images, labels = digits.load()[0]
    model = keras.Sequential(
        [keras.Input((8, 8)), layers.GRU(32, dropout=0.2, recurrent_dropout=0.2, unroll=True), layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=True)
    model.fit(images[:1408], labels[:1408], batch_size=64, verbose=0)
    print("parameters sha256:", record.sha256(model.get_weights()))
