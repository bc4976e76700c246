"""Keras on TensorFlow: a step is one `train_step` of `fit`; in a loop of the script's own, one `apply` of an optimizer.

What happens inside a graph is summed up there, in a few 64-bit integers: `fit` hands them out with its logs, the
script's own graphs through `tf.py_function`. XLA has no such function: of a loop of the script's own, nothing inside
`jit_compile=True` is seen.
"""

import functools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from types import ModuleType
from weakref import WeakSet

import keras
import numpy as np
import tensorflow as tf

from seedbed.observe.fingerprint import Fingerprint, as_float
from seedbed.observe.graph import as_integer, fingerprint, hook, norm_of
from seedbed.observe.harmless import harmless
from seedbed.recording.writer import thread_name, writer

OURS = "seedbed"  # the name of our numbers among a step's logs

models: WeakSet[keras.Model] = WeakSet()
optimizers: WeakSet[keras.optimizers.Optimizer] = WeakSet()


class Here(threading.local):
    """What the thread that asks is at."""

    tracing: "Traced | None" = None  # the train_step that is running or being traced
    compiling = False  # whether that is for XLA
    updating = False  # whether an optimizer is at work: some hand on to others


here = Here()
steps: dict[str, dict] = defaultdict(dict)  # by thread: the line of the step at hand
GRAPH = ""  # what a graph hands out counts for the main thread: TensorFlow's own threads run it


def watch(keras: ModuleType) -> None:
    """Watch the steps and epochs of `fit`, and what loops of the script's own do with tapes and optimizers."""
    if keras.backend.backend() != "tensorflow":
        return
    from keras.src.backend.tensorflow.trainer import TensorFlowTrainer
    from keras.src.callbacks.callback_list import CallbackList
    from keras.src.optimizers.base_optimizer import BaseOptimizer
    from keras.src.optimizers.loss_scale_optimizer import LossScaleOptimizer
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator
    from tensorflow.python.eager.backprop import GradientTape
    from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function

    for owner, name, call in (
        (TensorFlowTrainer, "_make_function", make_function),
        (CallbackList, "on_epoch_end", end_epoch),
        (BaseOptimizer, "apply", apply),
        (LossScaleOptimizer, "apply", apply),
        (GradientTape, "gradient", gradient),
        (OwnedIterator, "__next__", next_batch),
        (Function, "__call__", call_function),
    ):
        hook(owner, name, call)
    writer.described.append(threads)
    writer.on_exit.append(end_open_steps)


def threads() -> dict[str, int]:
    """What the script has set, if it has."""
    found = tf.config.threading.get_intra_op_parallelism_threads()
    return {"threads": found} if found else {}


def make_function(original: Callable, model: keras.Model, step_function: Callable) -> Callable:
    """The function that `fit` calls for each batch, made of a `train_step` that also returns our numbers."""
    if step_function != model.train_step:
        return original(model, step_function)
    function = original(model, traced(step_function))

    @functools.wraps(function)
    def watched(iterator):
        note_model(model)
        logs = function(iterator)
        if isinstance(logs, dict) and OURS in logs:
            harmless(note_step)(logs.pop(OURS))
        return logs

    return watched


def traced(train_step: Callable) -> Callable:
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


def gradient(original: Callable, tape: tf.GradientTape, target, *args, **kwargs):
    losses = [loss for loss in tf.nest.flatten(target) if loss is not None]
    if here.tracing:
        here.tracing.losses += losses
    else:
        hand_out(note_losses, lambda: tf.stack([as_integer(loss) for loss in losses]))
    return original(tape, target, *args, **kwargs)


def apply(original: Callable, optimizer: keras.optimizers.Optimizer, grads, trainable_variables=None):
    if here.updating:
        return original(optimizer, grads, trainable_variables)
    here.updating = True
    try:
        grads = list(grads)
        gradients = [gradient for gradient in grads if gradient is not None]
        variables = list(trainable_variables or optimizer._trainable_variables)
        if here.tracing:
            here.tracing.gradients += gradients
            here.tracing.variables += variables
        else:
            note_optimizer(optimizer, variables)
            before = lambda: tf.stack([fingerprint(gradients), as_integer(norm_of(gradients))])  # noqa: E731
            hand_out(note_gradients, before)
        result = original(optimizer, grads, trainable_variables)
        if not here.tracing:
            hand_out(note_update, lambda: tf.stack([fingerprint(variables)]))
        return result
    finally:
        here.updating = False


def next_batch(original: Callable, iterator):
    batch = original(iterator)
    if tf.executing_eagerly():
        hand_out(note_data, lambda: tf.stack([fingerprint(batch)]))
    return batch


def call_function(original: Callable, function, /, *args, **kwargs):
    outer = here.compiling
    here.compiling = outer or bool(function._jit_compile)
    try:
        return original(function, *args, **kwargs)
    finally:
        here.compiling = outer


def end_epoch(original: Callable, callbacks, epoch: int, logs: dict | None = None) -> None:
    harmless(writer.epoch)(epoch + 1, keras.src.utils.python_utils.pythonify_logs(logs), thread_name())
    original(callbacks, epoch, logs)


@harmless
def hand_out(note: Callable[[list[int]], None], numbers: Callable[[], tf.Tensor]) -> None:
    """Have the numbers noted: now, or whenever the graph that is being traced comes to this place."""
    if tf.executing_eagerly():
        note(numbers().numpy().tolist())
    elif not here.compiling:
        note = harmless(note)  # it is called when the graph runs
        tf.py_function(lambda found: note(found.numpy().tolist()), [numbers()], [])


def end_step(thread: str) -> None:
    with writer.lock:
        writer.step(Told(steps.pop(thread, {})), thread)


def end_open_steps() -> None:
    for thread in sorted(steps):
        if "loss" in steps[thread]:
            end_step(thread)


class Told(dict):
    """A step that is known."""

    def ready(self) -> bool:
        return True

    def told(self) -> dict:
        return self


@harmless
def note_model(model: keras.Model) -> None:
    if model not in models:
        models.add(model)
        note_initial(model.variables, thread_name())


@harmless
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


def note_step(numbers: tf.Tensor) -> None:
    """What `Traced.numbers` has packed."""
    data, gradients, norm, parameters, *losses = numbers.numpy().tolist()
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
        if "loss" in steps[thread]:
            end_step(thread)
        steps[thread]["loss"] = [as_float(number).hex() for number in numbers]


def note_gradients(numbers: list[int], thread: str = GRAPH) -> None:
    with writer.lock:
        steps[thread] |= {"gradients": Fingerprint().text(numbers[:1]), "norm": as_float(numbers[1]).hex()}


def note_update(numbers: list[int], thread: str = GRAPH) -> None:
    with writer.lock:
        steps[thread]["parameters"] = Fingerprint().text(numbers)
        end_step(thread)
