"""Keras on TensorFlow: what was seen of each step, as bits.

What happens inside a graph is summed up there, in a few 64-bit integers: `fit` hands them out with its logs, the
script's own graphs through `tf.py_function`. XLA has no such function: of a loop of the script's own, nothing inside
`jit_compile=True` is seen.
"""

import functools
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from types import ModuleType
from weakref import WeakSet

import keras
import numpy as np
import tensorflow as tf

from seedbed import terminal
from seedbed.observe.fingerprint import Fingerprint, as_float
from seedbed.observe.graph import as_integer, fingerprint, norm_of
from seedbed.observe.harmless import harmless
from seedbed.observe.keras import subscribe
from seedbed.observe.tensorflow import hand_out
from seedbed.recording.writer import thread_name, writer

OURS = "seedbed"  # the name of our numbers among a step's logs

models: WeakSet[keras.Model] = WeakSet()
optimizers: WeakSet[keras.optimizers.Optimizer] = WeakSet()
updates_end_steps = False  # not where the script makes no optimizer: there each loss begins one


class Here(threading.local):
    """What the thread that asks is at."""

    tracing: "Traced | None" = None  # the train_step that is running or being traced


here = Here()
steps: dict[str, dict] = defaultdict(dict)  # by thread: the line of the step at hand
GRAPH = ""  # what a graph hands out counts for the main thread: TensorFlow's own threads run it


def watch(keras: ModuleType) -> None:
    """Note the steps and epochs of `fit`, and what loops of the script's own do with tapes and optimizers."""
    notes = {
        "fit": note_model,
        "fitted": take_numbers,
        "batch": note_batch,
        "losses": see_losses,
        "gradients": see_gradients,
        "update": see_update,
        "epoch": note_epoch,
        "optimizer": let_updates_end_steps,
    }
    subscribe(train_step=traced, **{event: harmless(note) for event, note in notes.items()})
    writer.described.append(threads)
    writer.on_exit.append(end_open_steps)
    os.register_at_fork(after_in_child=steps.clear)  # a forked child has the step of no thread


def threads() -> dict[str, int]:
    """What the script has set, if it has."""
    found = tf.config.threading.get_intra_op_parallelism_threads()
    return {"threads": found} if found else {}


def traced(train_step: Callable) -> Callable:
    """One that also returns our numbers."""

    @functools.wraps(train_step)
    def traced(data):
        here.tracing = Traced()
        try:
            logs = train_step(data)
        finally:
            seen, here.tracing = here.tracing, None
        ours = seen.numbers(data)
        return {**logs, OURS: ours} if isinstance(logs, dict) and ours is not None else logs

    return traced


class Traced:
    """What one `train_step` does, as tensors."""

    def __init__(self) -> None:
        self.losses: list[tf.Tensor] = []
        self.gradients: list[tf.Tensor] = []
        self.variables: list[keras.Variable] = []

    def numbers(self, data: object) -> tf.Tensor | None:
        """Integers: data, gradients, their norm, updated parameters, losses. None where there was no update."""
        if not self.variables:
            return None
        return harmless(self.packed)(data)

    def packed(self, data: object) -> tf.Tensor:
        graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
        of_this_graph = [loss for loss in self.losses if getattr(loss, "graph", graph) is graph]
        losses = [as_integer(loss) for loss in of_this_graph]
        gradients, norm = fingerprint(self.gradients), as_integer(norm_of(self.gradients))
        return tf.stack([fingerprint(data), gradients, norm, fingerprint(self.variables), *losses])


def see_losses(losses: list[tf.Tensor]) -> None:
    if here.tracing:
        here.tracing.losses += losses
    else:
        hand_out(note_losses, lambda: [as_integer(loss) for loss in losses])


def see_gradients(optimizer: keras.optimizers.Optimizer, gradients: list, variables: list) -> None:
    if here.tracing:
        here.tracing.gradients += gradients
        here.tracing.variables += variables
    else:
        note_optimizer(optimizer, variables)
        hand_out(note_gradients, lambda: [fingerprint(gradients), as_integer(norm_of(gradients))])


def see_update(_: object, __: list, variables: list) -> None:
    if not here.tracing:
        hand_out(note_update, lambda: [fingerprint(variables)])


def note_batch(batch: object) -> None:
    hand_out(note_data, lambda: [fingerprint(batch)])


def let_updates_end_steps(_: keras.optimizers.Optimizer) -> None:
    global updates_end_steps
    updates_end_steps = True


def note_epoch(number: int, logs: dict | None) -> None:
    writer.epoch(number, keras.src.utils.python_utils.pythonify_logs(logs), thread_name())


def end_step(thread: str) -> None:
    with writer.lock:
        seen = steps.pop(thread, {})
        writer.step(lambda: seen, thread)


def end_open_steps() -> None:
    for thread in sorted(steps):
        if "loss" in steps[thread]:
            end_step(thread)


def note_model(model: keras.Model) -> None:
    if model not in models:
        models.add(model)
        if model.steps_per_execution > 1:  # Keras returns the logs of the last one
            terminal.log(f"one step in {model.steps_per_execution} (steps_per_execution) is in the record")
        note_initial(model.variables, thread_name())


def note_optimizer(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    if optimizer not in optimizers:
        optimizers.add(optimizer)
        with tf.init_scope():
            note_initial(variables, GRAPH)


def note_initial(variables: Iterable, thread: str) -> None:
    """Exact, since it is only once."""
    arrays = [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]
    with writer.lock:
        found = Fingerprint()
        found.add(steps[thread].get("initial", ""))
        for array in arrays:
            found.add(f"{array.shape} {array.dtype}", array.tobytes())
        steps[thread]["initial"] = found.text([])


def take_numbers(logs: object) -> None:
    """Out of the logs of a step: what `Traced.numbers` has packed."""
    if not isinstance(logs, dict) or OURS not in logs:
        return
    data, gradients, norm, parameters, *losses = logs.pop(OURS).numpy().tolist()
    thread = thread_name()
    note_data([data], thread)
    note_losses(losses, thread)
    note_gradients([gradients, norm], thread)
    note_update([parameters], thread)


def note_data(numbers: list[int], thread: str = GRAPH) -> None:
    with writer.lock:
        found = Fingerprint()
        found.add(steps[thread].get("data", ""))
        steps[thread]["data"] = found.text(numbers)


def note_losses(numbers: list[int], thread: str = GRAPH) -> None:
    with writer.lock:
        if "loss" in steps[thread] and not updates_end_steps:
            end_step(thread)
        steps[thread].setdefault("loss", []).extend(as_float(number).hex() for number in numbers)


def note_gradients(numbers: list[int], thread: str = GRAPH) -> None:
    with writer.lock:
        steps[thread] |= {"gradients": Fingerprint().text(numbers[:1]), "norm": as_float(numbers[1]).hex()}


def note_update(numbers: list[int], thread: str = GRAPH) -> None:
    with writer.lock:
        steps[thread]["parameters"] = Fingerprint().text(numbers)
        end_step(thread)
