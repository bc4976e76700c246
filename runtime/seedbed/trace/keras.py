"""Keras: the name of each layer while it runs."""

import functools

import keras

from seedbed.trace import journal


def start() -> None:
    if keras.backend.backend() == "torch":
        return  # its layers are torch's modules
    keras.layers.Layer.__call__ = named(keras.layers.Layer.__call__)


def named(call):
    @functools.wraps(call)
    def called(layer, *args, **kwargs):
        journal.running.append(f"{getattr(layer, 'path', None) or layer.name} ({type(layer).__name__})")
        try:
            return call(layer, *args, **kwargs)
        finally:
            journal.running.pop()

    return called
