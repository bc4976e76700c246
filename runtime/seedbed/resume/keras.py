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
from seedbed.observe.graph import as_integer, fingerprint
from seedbed.observe.harmless import harmless
from seedbed.observe.keras import subscribe
from seedbed.observe.tensorflow import hand_out, here
from seedbed.recording import keras as steps
from seedbed.recording.form import STATE
from seedbed.recording.writer import thread_name, writer
from seedbed.resume import inside

OF_LAYER = "seed_generator_state"  # Keras 3: the variable of a layer's generator


def watch(keras: ModuleType) -> None:
    """Subscribe after the recorder, whose step these fingerprints become a part of."""
    subscribe(fit=harmless(note_model), gradients=harmless(see_gradients), batch=harmless(see_batch))


def note_model(model: keras.Model) -> None:
    """Before a step of `fit`."""
    found = states(model.trainable_variables, [model], model.optimizer)
    note_states(thread_name(), {name: number().numpy().tolist() for name, number in found.items()})


def see_gradients(optimizer: keras.optimizers.Optimizer, _: list, variables: list) -> None:
    """Before the update of a loop of the script's own, also if it is in a graph."""
    if here.fits:
        return
    found = states(variables, users_models(), optimizer)

    def note(numbers: list[int]) -> None:
        note_states(steps.GRAPH, dict(zip(found, numbers, strict=True)))

    hand_out(note, lambda: [number() for number in found.values()])


def states(weights: list, models: list, optimizer: keras.optimizers.Optimizer) -> dict[str, Callable[[], tf.Tensor]]:
    """What computes the fingerprint of each kind of state."""
    others = [variable for model in models for variable in model.non_trainable_variables]
    rate = optimizer._get_current_learning_rate
    kinds = {
        "weights": weights,
        "optimizer": [variable for variable in optimizer.variables if variable.name != "learning_rate"],
        "statistics": [variable for variable in others if variable.name != OF_LAYER],
        "layers": [variable for variable in others if variable.name == OF_LAYER],
    }
    prints = {name: functools.partial(fingerprint, variables) for name, variables in kinds.items()}
    return {**prints, "rate": lambda: as_integer(tf.convert_to_tensor(rate()))}


def note_states(thread: str, numbers: dict[str, int]) -> None:
    with writer.lock:
        found = {name: Fingerprint().text([number]) for name, number in numbers.items()} | inside.all_generators()
        steps.steps[thread] |= {STATE + name: text for name, text in found.items()}


def users_models() -> list[keras.Model]:
    """Those in variables of the code that trains: an optimizer does not know its model."""
    values = [value for _, variables in inside.users_variables() for value in list(variables.values())]
    return list({id(value): value for value in values if isinstance(value, keras.Model)}.values())


def see_batch(batch: object) -> None:
    hand_out(note_batch, lambda: [fingerprint(batch)])


def note_batch(numbers: list[int]) -> None:
    with writer.lock:
        steps.steps[steps.GRAPH][STATE + "batch"] = Fingerprint().text(numbers)
