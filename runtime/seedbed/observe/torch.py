"""torch: when a step of a training begins and ends, and what is in it. It is hooked once, for all subscribers.

A step is one `backward()` with what led to it, and the optimizer's step if one follows. A loss that no optimizer has
followed ends at the next batch, call of a model or `backward()`, or with the process: gradients may be accumulated over
several.
"""

import atexit
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from weakref import WeakSet

import torch
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils.data import dataloader

from seedbed.observe.harmless import harmless
from seedbed.observe.tensors import leaves
from seedbed.wrapping import after

MODES = torch._C._TorchDispatchModeKey
SYMBOLIC = (MODES.FAKE, MODES.PROXY, MODES.FUNCTIONAL)  # export, make_fx, FakeTensorMode: tensors are no numbers there
DEPTH = 12  # frames between a step of an optimizer and who takes it

subscribers: list[dict[str, Callable]] = []


def subscribe(**events: Callable) -> None:
    """Have these called in the thread that trains, without gradients.

    `batch(batch, loader)`, `model(model)` before the first and `call(model, arguments)` before each call by the script
    itself, `losses(tensors)` before `backward`, `gradients(optimizer)` when they are there, `update(optimizer)` after
    its step, and `end()` when the training's step is over.
    """
    if not subscribers:
        hook()
    subscribers.append(events)


def hook() -> None:
    register_module_forward_pre_hook(before_forward)
    register_optimizer_step_pre_hook(before_update)
    register_optimizer_step_post_hook(after_update)
    torch.autograd.backward = watched(torch.autograd.backward)
    after(dataloader._BaseDataLoaderIter, "__next__", after_batch)
    os.register_at_fork(after_in_child=here.begin)
    atexit.register(end_pending)


class Here(threading.local):
    """What the thread that asks has seen: several may train at once, one model or each its own."""

    def __init__(self) -> None:
        self.models: WeakSet[torch.nn.Module] = WeakSet()  # those that are called by the script itself
        self.parts: WeakSet[torch.nn.Module] = WeakSet()  # those inside the models that this step has called
        self.passing = False  # whether a backward pass is under way
        self.called = False  # whether this step has called a model with parameters
        self.pending = False  # whether it has a loss
        self.updates = False  # whether a Keras optimizer is at work: some hand on to others

    def begin(self) -> None:
        """A step; a forked child has that of no thread, but knows which models its parent knew."""
        self.called = self.pending = False
        self.parts.clear()


here = Here()


def tell(event: str, *about: object) -> None:
    with torch.no_grad():
        for events in subscribers:
            if event in events:
                events[event](*about)


def has_numbers() -> bool:
    """There are none in code that is being compiled, transformed, traced or captured for a GPU."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or torch._C._get_tracing_state():
        return False
    if torch._C._len_torch_dispatch_stack() and any(map(torch._C._get_dispatch_mode, SYMBOLIC)):
        return False
    return not (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())


def is_passing() -> bool:
    """Whether this is inside a backward pass; on a GPU its threads are torch's own."""
    return here.passing or torch._C._current_autograd_node() is not None


def end_pending() -> None:
    if here.pending:
        end()


def end() -> None:
    here.begin()
    tell("end")


def before_forward(module: torch.nn.Module, inputs: tuple) -> None:
    """A module is a model unless a model that this step has called contains it."""
    if torch.compiler.is_compiling() or is_passing() or not torch.is_grad_enabled() or module in here.parts:
        return
    if has_numbers():
        given = arguments(inputs)
        if has_parameters(module):
            end_pending()
            here.called = True
        elif here.called and not is_computed(given):  # a metric
            return
        meet(module)
        tell("call", module, given)


def arguments(inputs: tuple) -> list:
    """All that a module is called with: torch gives its hooks the positional arguments, its own frame has the others.

    To be called by the hook itself (torch 2.7.1 to 2.14.1, nn/modules/module.py).
    """
    return [*inputs, sys._getframe(2).f_locals.get("kwargs", {})]


@harmless
def has_parameters(module: torch.nn.Module) -> bool:
    return next(module.parameters(), None) is not None


@harmless
def is_computed(value: object) -> bool:
    """Whether a tensor in it comes from parameters, and can be trained by."""
    return any(isinstance(part, torch.Tensor) and part.grad_fn is not None for part in leaves(value))


@harmless
def meet(model: torch.nn.Module) -> None:
    here.parts.update(part for part in model.modules() if part is not model)
    if model not in here.models:
        here.models.add(model)
        tell("model", model)


def after_batch(batch: object, loader: object) -> None:
    if has_numbers():
        end_pending()
        tell("batch", batch, loader)


def watched(backward: Callable) -> Callable:
    """Subscribers get the losses first: the pass may reuse their memory. A pass inside it (checkpointing) is none."""

    @functools.wraps(backward)
    def watched(tensors, *args, **kwargs):
        if is_passing():
            return backward(tensors, *args, **kwargs)
        if isinstance(tensors, Iterator):  # which can be read once
            tensors = tuple(tensors)
        if has_numbers():
            end_pending()
            here.pending = True
            tell("losses", tensors)
        here.passing = True
        try:
            return backward(tensors, *args, **kwargs)
        finally:
            here.passing = False

    leave_uncompiled(watched)
    return watched


@harmless
def leave_uncompiled(function: Callable) -> None:
    """Have torch.compile run it and all that it calls as they stand, without importing the compiler for that."""
    from torch._C._dynamo import eval_frame

    skip = eval_frame._FrameAction.SKIP
    eval_frame.set_code_exec_strategy(function.__code__, eval_frame._FrameExecStrategy(skip, skip))


def before_update(optimizer: Optimizer, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
    """The gradients are there; or a closure makes them, each time the optimizer calls it (Lightning, LBFGS)."""
    if not has_numbers() or only_makes_state():
        return None
    positional = len(args) > 1  # after the optimizer itself
    closure = args[1] if positional else kwargs.get("closure")
    if not callable(closure):  # an optimizer of the user's own may take something else
        tell("gradients", optimizer)
        return None

    def watched() -> object:
        loss = closure()
        tell("gradients", optimizer)
        return loss

    return ((args[0], watched, *args[2:]), kwargs) if positional else (args, {**kwargs, "closure": watched})


def after_update(optimizer: Optimizer, *_: object) -> None:
    if has_numbers() and not only_makes_state():
        tell("update", optimizer)
        end()


def only_makes_state() -> bool:
    """Whether torch.distributed.checkpoint takes the step, with gradients of zero, for the optimizer to have a state.

    It does so before it loads one (torch 2.7.1 and 2.14.1, checkpoint/state_dict.py); no training has such a step.
    """
    frame, depth = (None if here.pending else sys._getframe(1)), 0
    while frame and depth < DEPTH:
        if frame.f_code.co_name == "_init_optim_state":
            return True
        frame, depth = frame.f_back, depth + 1
    return False


def parameters(optimizer: Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
