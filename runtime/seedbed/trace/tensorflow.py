"""TensorFlow: the steps are those of a record; in the steps to detail, functions run eagerly, operation by operation.

Where no optimizer of Keras is at work, each call of a tf.function of the script's own is a step.

Operations are seen by op callbacks (tensorflow/python/framework/op_callbacks.py), and those of a tape's backward pass
are traced back to the forward operation through the function that looks up gradients.
"""

import atexit
import hashlib
import os
import weakref
from collections.abc import Callable
from types import ModuleType

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.data.ops import readers
from tensorflow.python.eager import backprop
from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function
from tensorflow.python.framework import op_callbacks

from seedbed import callers
from seedbed.observe.tensorflow import hand_out, here, subscribe
from seedbed.trace import journal, surroundings
from seedbed.wrapping import after, around

DRAWING = ("Random", "Truncated", "Multinomial", "ParameterizedTruncated", "StatefulRandom", "StatefulUniform")
OF_SLICES = ("", " indices", " shape")  # what tf.IndexedSlices holds
WRITING = ("Assign", "Resource")

_watching = True
_inside = 0  # steps that were taken in the function that is running
_has_updates = False  # whether an optimizer of Keras was seen at work: then it counts the steps
_open_call = False  # whether a function has returned, and is a step unless an optimizer comes before the next one


def start() -> None:
    os.register_at_fork(after_in_child=stop)
    subscribe(returned)
    atexit.register(end_open_call)
    after(readers, "_create_or_validate_filenames_dataset", lambda _, paths, **__: note_files(paths))
    if journal.plan.last:
        op_callbacks.add_op_callback(operations.note)
        pywrap_tfe.TFE_Py_RegisterGradientFunction(operations.gradient)
        go_eager_in_time()


def follow_keras(keras: ModuleType) -> None:
    from seedbed.observe.keras import subscribe  # which imports Keras: many programs use only TensorFlow

    subscribe(fitted=note_fitted, update=note_update)
    around(keras.layers.Layer, "__call__", call_layer)


def call_layer(original: Callable, layer, /, *args, **kwargs):
    """Its name and class are those of what runs."""
    journal.running.append(f"{getattr(layer, 'path', None) or layer.name} ({type(layer).__name__})")
    try:
        return original(layer, *args, **kwargs)
    finally:
        journal.running.pop()


def note_fitted(_: object) -> None:
    global _has_updates
    _has_updates = True
    end_steps(1)


def stop() -> None:
    """In a forked child: its work comes back to the parent, whose journal shows it."""
    global _watching
    _watching = False


def note_update(optimizer, gradients: list, _: list) -> None:
    """Of a loop that runs eagerly. What a tf.function has done is compared when it returns."""
    global _has_updates
    _has_updates = True
    in_function = bool(here.functions) or not tf.executing_eagerly()  # a replica has a thread of its own
    if not in_function:
        name = type(optimizer).__name__
        found = {
            f"{number}{of_slices}": part
            for number, gradient in enumerate(gradients)
            for of_slices, part in zip(OF_SLICES, tf.nest.flatten(gradient, expand_composites=True), strict=False)
        }
        see("gradients", name, found)
        variables = enumerate(optimizer._trainable_variables)  # Keras's, or TensorFlow's own, which have no path
        see("update", name, {getattr(v, "path", f"{number} {v.name}"): v.handle for number, v in variables})
    if here.fits:
        return
    if in_function:
        hand_out(count_inside, list)
    else:
        end_steps(1)


def count_inside(_: list[int]) -> None:
    global _inside
    _inside += 1


def returned(function: Function, result: object) -> None:
    """What it returns, and the variables that it reads or, run eagerly, has written."""
    global _inside, _open_call
    if not _watching:
        return
    end_open_call()
    found = {
        f"result {number}": tensor for number, tensor in enumerate(tf.nest.flatten(result)) if tf.is_tensor(tensor)
    }
    known = {v.ref(): v for concrete in function._list_all_concrete_functions() for v in concrete.variables}
    by_name = sorted(known.values(), key=lambda v: (v.name, fingerprint(held(v.handle))))  # they come out of a set
    found |= {f"{number} {variable.name}": variable.handle for number, variable in enumerate(by_name)}
    found |= {f"variable {number}": handle for number, handle in enumerate(operations.assigned.values())}
    see("result", function.__name__, found)
    end_steps(_inside)
    _inside = 0
    code = getattr(function.python_function, "__code__", None)
    _open_call = code is None or callers.is_users(code.co_filename)


def end_open_call() -> None:
    global _open_call
    if _open_call and not _has_updates:
        end_steps(1)
    _open_call = False


def see(what: str, name: str, found: dict[str, tf.Tensor]) -> None:
    """A landmark; of the handles of variables, what they hold."""
    writers = operations.writers_of(found.values())
    journal.see(what, name, [fingerprint(held(tensor)) for tensor in found.values()], writers, labels=list(found))


def held(tensor: tf.Tensor) -> tf.Tensor:
    """What a variable's handle stands for; any other tensor as it is."""
    global _watching
    known = getattr(tensor, "_handle_data", None)  # not of a table, an iterator or a generator's state
    if tensor.dtype != tf.resource or known is None or not known.is_set:
        return tensor
    before, _watching = _watching, False
    try:
        return tf.raw_ops.ReadVariableOp(resource=tensor, dtype=known.shape_and_type[0].dtype)
    finally:
        _watching = before


def end_steps(count: int) -> None:
    if count == 0:
        return
    operations.forward.clear()
    operations.assigned.clear()
    for _ in range(count):
        journal.finish_step()
    if journal.plan.last:
        go_eager_in_time()


def go_eager_in_time() -> None:
    """Before the first step to detail."""
    if journal.is_detailed() and not tf.config.functions_run_eagerly():
        tf.config.run_functions_eagerly(True)


class Operations:
    """Writes down each operation of the steps to detail."""

    def __init__(self) -> None:
        self.count = 0
        self.writers: dict[int, tuple[weakref.ref, int]] = {}  # by the tensor's id: it, and who made or wrote it
        self.forward: dict[int, dict] = {}  # in this step: where each operation stands
        self.assigned: dict[int, tf.Tensor] = {}  # in this step: the handles of variables that were written
        self.backward: list[dict] = []  # where the operation stands whose gradient is being computed

    def note(self, op_type, inputs, attrs, outputs, op_name=None, graph=None) -> None:
        """An op callback: called after each operation that ran (`graph` is None) or was built into a graph."""
        operation = op_type.decode() if isinstance(op_type, bytes) else op_type
        if operation == "ReadFile" and graph is None:
            note_files(inputs[0])
        if graph is not None or not _watching or not journal.is_detailed():
            return
        where = self.where()
        handles = inputs[:1] if operation.startswith(WRITING) else []
        written = [*outputs, *handles]
        generator = {"seed": seed_of(attrs), "state": "", "own": False} if operation.startswith(DRAWING) else None
        journal.write(
            op=operation,
            arguments=described(attrs),
            outputs=[fingerprint(held(tensor)) for tensor in written],
            **({"generator": generator} if generator else {}),
            **where,
            inputs=[fingerprint(tensor) for tensor in inputs],
            **{"from": self.writers_of(inputs)},
        )
        self.assigned |= {id(handle): handle for handle in handles}
        for tensor in written:
            self.writers[id(tensor)] = weakref.ref(tensor), self.count
        self.forward[self.count] = where
        self.count += 1

    def writers_of(self, tensors) -> list[list[int]]:
        return [[made] if (made := self.writer(tensor)) is not None else [] for tensor in tensors]

    def writer(self, tensor) -> int | None:
        known, operation = self.writers.get(id(tensor), (lambda: None, None))
        return operation if known() is tensor else None

    def where(self) -> dict:
        """Layer and place; in backward, those of the forward operation."""
        if self.backward:
            there = self.backward[-1]
            return {**there, "places": there["places"] + journal.places()}
        return {"module": journal.running[-1] if journal.running else "", "places": journal.places()}

    def gradient(self, op_name, attr_tuple, num_inputs, inputs, outputs, *rest):
        """What TensorFlow calls for the gradient of each recorded operation."""
        made = [self.writer(tensor) for tensor in outputs or () if tensor is not None]
        there = self.forward.get(next((number for number in made if number is not None), None))
        self.backward.append({**(there or {"module": "", "places": []}), "backward": op_name})
        try:
            return backprop._gradient_function(op_name, attr_tuple, num_inputs, inputs, outputs, *rest)
        finally:
            self.backward.pop()


operations = Operations()


def note_files(paths) -> None:
    """Files that TensorFlow opens itself, where their names are known by now.

    A data set of names is left alone: to look at it might shuffle it once more.
    """
    if not isinstance(paths, tf.data.Dataset):
        given = tf.nest.map_structure(readers._normalise_fspath, paths)
        names = tf.get_static_value(tf.convert_to_tensor(given))
        for name in [] if names is None else np.ravel(names).tolist():
            surroundings.note_file(os.path.abspath(os.fsdecode(name)))


def seed_of(attrs: tuple) -> str:
    named = dict(zip(attrs[::2], attrs[1::2], strict=False))
    return f"{named.get('seed')}, {named.get('seed2')}"


def described(attrs: tuple) -> str:
    """Attributes for people, without what holds addresses and without the types of the inputs."""
    named = {name: value for name, value in zip(attrs[::2], attrs[1::2], strict=False) if not name.startswith("T")}
    return ", ".join(f"{name}={value}" for name, value in named.items() if isinstance(value, bool | int | float))


def fingerprint(tensor) -> str:
    """Equal for equal type, shape and bits, as "float32[64,10] 1f0c…"; of a handle, only its type."""
    if tensor.dtype in (tf.resource, tf.variant):
        return tensor.dtype.name
    array = np.asarray(tensor.numpy(), dtype=object if tensor.dtype == tf.string else None)
    content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    return f"{tensor.dtype.name}[{','.join(map(str, tensor.shape))}] {hashlib.sha1(content).hexdigest()[:12]}"
