"""TensorFlow: which of its functions are running. They are hooked once, and subscribers called when one returns."""

import threading
from collections.abc import Callable

import tensorflow as tf
from tensorflow.python.eager.polymorphic_function.polymorphic_function import Function
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util
from tensorflow.python.ops.control_flow_ops import XLAControlFlowContext

from seedbed.observe import saving
from seedbed.observe.graph import hook
from seedbed.observe.harmless import harmless

subscribers: list[Callable] = []


class Here(threading.local):
    """What the thread that asks is at."""

    fits = False  # whether it is in a step of Keras's `fit`
    updates = False  # whether a Keras optimizer is at work: some hand on to others

    def __init__(self) -> None:
        self.functions: list[Function] = []  # those that are running or being traced, outermost first


here = Here()


def subscribe(returned: Callable | None = None) -> None:
    """Have `returned(function, result)` called after each call by the script that is not from within another one."""
    if not hasattr(Function.__call__, "autograph_info__"):
        hook(Function, "__call__", call)
        saving.hook()
        # XLA gets no graph of a function that was traced outside of it, with what we have put into that.
        XLAControlFlowContext.RequiresUniqueFunctionRetracing = lambda _: True
    subscribers.extend(filter(None, [returned]))


def call(original: Callable, function: Function, /, *args, **kwargs):
    here.functions.append(function)
    try:
        result = original(function, *args, **kwargs)
    finally:
        here.functions.pop()
    if not here.functions and tf.executing_eagerly():
        for returned in subscribers:
            returned(function, result)
    return result


def is_compiling() -> bool:
    """Whether the graph that is being traced is, or will be, compiled by XLA, which cannot call Python."""
    return control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph())


@harmless
def hand_out(note: Callable[[list[int]], None], numbers: Callable[[], list[tf.Tensor]]) -> None:
    """Have these 64-bit integers noted: now, or whenever the graph that is being traced comes to this place."""
    if tf.executing_eagerly():
        note([number.numpy().tolist() for number in numbers()])
    elif not is_compiling():
        note = harmless(note)  # it is called when the graph runs
        tf.py_function(lambda *found: note([number.numpy().tolist() for number in found]), numbers(), [], saving.OURS)
