"""Keras on TensorFlow: what happens in a training. It is hooked once, for all subscribers.

A step is one `train_step` of `fit`; in a loop of the script's own, one `apply` of an optimizer, or, where the script
makes no optimizer, one `gradient` of a tape.
"""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
from keras.src.callbacks.callback_list import CallbackList
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer
from tensorflow.python import pywrap_tfe
from tensorflow.python.data.ops.iterator_ops import OwnedIterator
from tensorflow.python.distribute.input_lib import DistributedIteratorBase
from tensorflow.python.eager.backprop import GradientTape

from seedbed.observe import tensorflow
from seedbed.observe.graph import hook
from seedbed.observe.tensorflow import here

subscribers: list[dict[str, Callable]] = []


def subscribe(**events: Callable) -> None:
    """Have these called in the thread that trains.

    `fit(model)` before and `fitted(logs)` after each step of `fit`, `batch(batch)` for what the script itself takes
    from a data set, `epoch(number, logs)` at the end of one, counted from 1. These may be called while a graph is
    traced (see `observe.tensorflow.hand_out`): `losses(tensors)` before a tape's gradients, and `gradients(optimizer,
    gradients, variables)` and `update(optimizer, gradients, variables)` before and after an optimizer's `apply`;
    `optimizer(optimizer)` is for one that is made. `train_step(step)` returns what a model's `train_step` is replaced
    with in `fit`.
    """
    if not subscribers:
        tensorflow.subscribe()
        for owner, name, call in (
            (TensorFlowTrainer, "_make_function", make_function),
            (CallbackList, "on_epoch_end", end_epoch),
            (BaseOptimizer, "__init__", make_optimizer),
            (BaseOptimizer, "apply", apply),
            (LossScaleOptimizer, "apply", apply),
            (GradientTape, "gradient", gradient),
            (OwnedIterator, "__next__", next_batch),
            (DistributedIteratorBase, "__next__", next_batch),
        ):
            hook(owner, name, call)
    subscribers.append(events)


def tell(event: str, *about: object) -> None:
    for events in subscribers:
        if event in events:
            events[event](*about)


def make_function(original: Callable, model: keras.Model, step_function: Callable) -> Callable:
    """The function that `fit` calls for each batch."""
    if step_function != model.train_step:
        return original(model, step_function)
    for events in subscribers:
        step_function = events.get("train_step", lambda step: step)(step_function)
    function = original(model, step_function)

    @functools.wraps(function)
    def watched(iterator):
        tell("fit", model)
        here.fits = True
        try:
            logs = function(iterator)
        finally:
            here.fits = False
        tell("fitted", logs)
        return logs

    return watched


def make_optimizer(original: Callable, optimizer: keras.optimizers.Optimizer, *args, **kwargs) -> None:
    original(optimizer, *args, **kwargs)
    tell("optimizer", optimizer)


def apply(original: Callable, optimizer: keras.optimizers.Optimizer, grads, trainable_variables=None):
    if here.updates:
        return original(optimizer, grads, trainable_variables)
    here.updates = True
    try:
        grads = list(grads)
        found = [gradient for gradient in grads if gradient is not None]
        gradients = [tf.convert_to_tensor(each) if isinstance(each, np.ndarray) else each for each in found]
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        variables = trainable_variables or list(optimizer._trainable_variables)
        tell("gradients", optimizer, gradients, variables)
        result = original(optimizer, grads, trainable_variables)
        tell("update", optimizer, gradients, variables)
        return result
    finally:
        here.updates = False


def gradient(original: Callable, tape: GradientTape, target, *args, **kwargs):
    is_inner = not tape._recording and not pywrap_tfe.TFE_Py_TapeSetIsEmpty()  # what it returns is a part of a loss
    if not is_inner:
        tell("losses", [loss for loss in tf.nest.flatten(target) if loss is not None])
    return original(tape, target, *args, **kwargs)


def next_batch(original: Callable, iterator: OwnedIterator | DistributedIteratorBase):
    batch = original(iterator)
    if tf.executing_eagerly():
        tell("batch", batch)
    return batch


def end_epoch(original: Callable, callbacks: CallbackList, epoch: int, logs: dict | None = None) -> None:
    tell("epoch", epoch + 1, logs)
    original(callbacks, epoch, logs)
