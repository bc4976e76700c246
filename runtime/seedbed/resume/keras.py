"""Keras on TensorFlow: what state each step begins with, and the batch that it got last.

Of `fit` that is read before each step. In a loop of the script's own it is read at the optimizer's `apply`: there the
forward pass has already drawn its numbers, and changed the statistics of BatchNorm, in the run that is compared with
just as much.
"""

import functools
from collections.abc import Callable
from types import ModuleType

import keras
import tensorflow as tf

from seedbed.observe.fingerprint import Fingerprint
from seedbed.observe.graph import as_integer, fingerprint, hook
from seedbed.observe.harmless import harmless
from seedbed.recording import keras as steps
from seedbed.recording.writer import thread_name, writer
from seedbed.resume import inside
from seedbed.resume.inside import PREFIX

WEIGHTS, OPTIMIZER, RATE = f"{PREFIX}weights", f"{PREFIX}optimizer", f"{PREFIX}rate"
STATISTICS, LAYERS, BATCH = f"{PREFIX}statistics", f"{PREFIX}layers", f"{PREFIX}batch"
OF_LAYER = "seed_generator_state"  # Keras 3: the variable of a layer's generator


def watch(keras: ModuleType) -> None:
    """Outside of the recorder, whose hooks are there already."""
    if keras.backend.backend() != "tensorflow":
        return
    from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
    from keras.src.optimizers.base_optimizer import BaseOptimizer
    from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    for owner, name, call in (
        (TensorFlowTrainer, "_make_function", make_function),
        (BaseOptimizer, "apply", apply),
        (LossScaleOptimizer, "apply", apply),
        (OwnedIterator, "__next__", next_batch),
    ):
        hook(owner, name, call)


def make_function(original: Callable, model: keras.Model, step_function: Callable) -> Callable:
    function = original(model, step_function)
    if step_function != model.train_step:
        return function

    @functools.wraps(function)
    def watched(iterator):
        note_model(model)
        return function(iterator)

    return watched


@harmless
def note_model(model: keras.Model) -> None:
    """Before a step of `fit`."""
    found = states(model.trainable_variables, [model], model.optimizer)
    note_states(thread_name(), {name: number().numpy().tolist() for name, number in found.items()})


def apply(original: Callable, optimizer: keras.optimizers.Optimizer, grads, trainable_variables=None):
    if not (steps.here.updating or steps.here.tracing):
        grads = list(grads)
        note_update(optimizer, list(trainable_variables or optimizer._trainable_variables))
    return original(optimizer, grads, trainable_variables)


@harmless
def note_update(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    """Before the update of a loop of the script's own, also if it is in a graph."""
    found = states(variables, users_models(), optimizer)

    def note(numbers: list[int]) -> None:
        note_states(steps.GRAPH, dict(zip(found, numbers, strict=True)))

    steps.hand_out(note, lambda: tf.stack([number() for number in found.values()]))


def states(weights: list, models: list, optimizer: keras.optimizers.Optimizer) -> dict[str, Callable[[], tf.Tensor]]:
    """What computes the fingerprint of each kind of state."""
    others = [variable for model in models for variable in model.non_trainable_variables]
    rate = optimizer._get_current_learning_rate
    kinds = {
        WEIGHTS: weights,
        OPTIMIZER: [variable for variable in optimizer.variables if not is_rate(variable)],
        STATISTICS: [variable for variable in others if variable.name != OF_LAYER],
        LAYERS: [variable for variable in others if variable.name == OF_LAYER],
    }
    prints = {name: functools.partial(fingerprint, variables) for name, variables in kinds.items()}
    return {**prints, RATE: lambda: as_integer(tf.convert_to_tensor(rate()))}


def is_rate(variable: keras.Variable) -> bool:
    return variable.name == "learning_rate"


def note_states(thread: str, numbers: dict[str, int]) -> None:
    with writer.lock:
        line = steps.steps[thread]
        for name, number in numbers.items():
            line[name] = Fingerprint().text([number])
        for name, text in inside.all_generators().items():
            line[f"{PREFIX}{name}"] = text


def users_models() -> list[keras.Model]:
    """Those in variables of the code that trains: an optimizer does not know its model."""
    values = [value for _, variables in inside.users_variables() for value in list(variables.values())]
    return list({id(value): value for value in values if isinstance(value, keras.Model)}.values())


def next_batch(original: Callable, iterator):
    batch = original(iterator)
    if tf.executing_eagerly():
        steps.hand_out(note_batch, lambda: tf.stack([fingerprint(batch)]))
    return batch


def note_batch(numbers: list[int]) -> None:
    with writer.lock:
        steps.steps[steps.GRAPH][BATCH] = Fingerprint().text(numbers)
