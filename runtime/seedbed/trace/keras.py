"""Keras: the name of each layer while it runs, and each update by an optimizer outside of a tf.function."""

import functools

import keras

from seedbed.trace import journal
from seedbed.wrapping import after


def start() -> None:
    if keras.backend.backend() == "torch":
        return  # its layers are torch's modules
    keras.layers.Layer.__call__ = named(keras.layers.Layer.__call__)
    after(keras.optimizers.Optimizer, "apply", note_update)


def named(call):
    @functools.wraps(call)
    def called(layer, *args, **kwargs):
        journal.running.append(f"{getattr(layer, 'path', None) or layer.name} ({type(layer).__name__})")
        try:
            return call(layer, *args, **kwargs)
        finally:
            journal.running.pop()

    return called


def note_update(_, optimizer, grads, *__, **___) -> None:
    """A step of a loop that runs eagerly; inside a tf.function, its call is the step."""
    import tensorflow

    from seedbed.trace import tensorflow as steps

    if tensorflow.executing_eagerly() and not steps.calls:
        given = (gradient for gradient in grads if gradient is not None)
        steps.see("gradients", type(optimizer).__name__, {str(number): found for number, found in enumerate(given)})
        updated = {variable.path: variable.value.handle for variable in optimizer._trainable_variables}
        steps.see("update", type(optimizer).__name__, updated)
        steps.end_step()
