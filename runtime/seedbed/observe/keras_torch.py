"""Keras on torch: its optimizers are none of torch's. Who subscribes to torch is told of them in the same way."""

import functools
from collections.abc import Callable
from weakref import WeakKeyDictionary

import keras
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer

from seedbed.observe import torch as steps
from seedbed.observe.harmless import harmless
from seedbed.wrapping import around


class Seen:
    """An optimizer as subscribers look at one of torch's."""

    def __init__(self) -> None:
        self.param_groups: list[dict] = []
        self.state: dict = {}

    @harmless
    def look(self, optimizer: BaseOptimizer, gradients: list, variables: list) -> None:
        group = {"params": [variable.value.detach() for variable in variables]}
        for parameter, gradient in zip(group["params"], gradients, strict=True):
            parameter.grad = gradient
        group["lr"] = keras.ops.convert_to_numpy(optimizer.learning_rate).item()
        group["variables"] = [one.value.detach() for one in optimizer.variables if one.name != "learning_rate"]
        self.param_groups = [group]


known: WeakKeyDictionary[BaseOptimizer, Seen] = WeakKeyDictionary()


@functools.cache
def hook() -> None:
    for owner in (BaseOptimizer, LossScaleOptimizer):
        around(owner, "apply", apply)


def apply(original: Callable, optimizer: BaseOptimizer, grads, trainable_variables=None):
    if steps.here.updates or not steps.has_numbers():
        return original(optimizer, grads, trainable_variables)
    steps.here.updates = True
    try:
        grads = list(grads)
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        seen = known.setdefault(optimizer, type(type(optimizer).__name__, (Seen,), {})())
        seen.look(optimizer, grads, trainable_variables or list(optimizer._trainable_variables))
        steps.tell("gradients", seen)
        result = original(optimizer, grads, trainable_variables)
        steps.tell("update", seen)
        steps.end()
        return result
    finally:
        steps.here.updates = False
