"""PyTorch: Keras fit on its backend, a recurrent network with dropout, on a DataLoader with two workers."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import digits
import keras
import record
import torch
from keras import layers
from torch.utils.data import DataLoader, TensorDataset

if __name__ == "__main__":
    data = TensorDataset(*map(torch.from_numpy, digits.load()[0]))
    model = keras.Sequential(
        [keras.Input((8, 8)), layers.GaussianNoise(0.1), layers.GRU(32, dropout=0.2), layers.Dense(10)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(DataLoader(data, batch_size=64, shuffle=True, num_workers=2), epochs=2, verbose=0)
    print("parameters sha256:", record.sha256(model.get_weights()))
