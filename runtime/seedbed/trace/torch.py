"""torch: each operation, forward and backward, with fingerprints of what it read and wrote; and each module and step.

Modules, batches, gradients and parameters are written down in every step. Operations are only in the steps that the
plan names: a dispatch mode sees them below autograd, where each is one call of a kernel.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules import module as modules
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from seedbed.observe.fingerprint import Fingerprint
from seedbed.observe.tensors import add
from seedbed.observe.torch import arguments, has_numbers, parameters, subscribe
from seedbed.trace import journal
from seedbed.trace.memory import Memory

FRESH = {f"aten::{name}" for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")}
ASYNCHRONOUS = ("c10d::", "_c10d_functional::")  # what they write is not there yet when they return
ENTRIES = {"aten::lift_fresh"}  # a view by its schema, and how data from Python come in: torch.tensor(...)
OF_NO_INTEREST = ("profiler::", "prim::", "debugprims::", "aten::set_")

names = WeakIdKeyDictionary()  # of modules and parameters
_watching = True


def start() -> None:
    """Watch modules, optimizers and data loaders; watch operations if the plan has steps to detail."""
    subscribe(batch=note_batch, gradients=note_gradients, update=note_update, end=finish_step)  # first: it begins steps
    modules.register_module_forward_pre_hook(enter_module)
    modules.register_module_forward_hook(leave_module, always_call=True)
    os.register_at_fork(after_in_child=stop)
    if journal.plan.last or journal.plan.fill is not None:
        operations.__enter__()


def stop() -> None:
    """In a forked child: its work comes back to the parent, whose journal shows it."""
    global _watching
    _watching = False


@contextmanager
def unwatched() -> Iterator[bool]:
    """What happens inside is our own doing. Gives whether we watch at all."""
    global _watching
    before, _watching = _watching, False
    try:
        with torch.no_grad():
            yield before
    finally:
        _watching = before


class Operations(TorchDispatchMode):
    """Writes down each operation of the steps to detail, and fills memory that an operation hands out uninitialised."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.memory = Memory()
        self.forward: dict[int, dict] = {}  # in this step: autograd's number of an operation -> where it stands

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        operation = func._schema.name
        if operation.startswith(OF_NO_INTEREST) or (func.is_view and operation not in ENTRIES):
            return func(*args, **kwargs)
        if not _watching or not has_numbers():
            return func(*args, **kwargs)
        if not journal.is_detailed():
            return filled(operation, func(*args, **kwargs))
        return self.note(func, operation, args, kwargs)

    def note(self, func, operation: str, args: tuple, kwargs: dict):
        inputs = list(tensors([args, kwargs]))
        given = self.given(inputs)
        generator, where = generator_state(func, args, kwargs), self.where()
        result = filled(operation, func(*args, **kwargs))
        written = {id(tensor): tensor for tensor in (*tensors(result), *arguments_written(func, args, kwargs))}.values()
        for tensor in written:
            self.memory.wrote(tensor, self.count, operation in FRESH)
        known = not operation.startswith(ASYNCHRONOUS)
        journal.write(
            op=str(func),
            arguments=described([*args, *kwargs.items()]),
            outputs=[self.shown(tensor) if known else None for tensor in written],
            **({"generator": generator} if generator else {}),
            **where,
            **given,
        )
        self.count += 1
        return result

    def given(self, inputs: list[torch.Tensor]) -> dict:
        offsets = [tensor.storage_offset() for tensor in inputs]
        return {
            "inputs": [self.shown(tensor) for tensor in inputs],
            "from": [self.writers(tensor) for tensor in inputs],
            **({"offsets": offsets} if any(offsets) else {}),
            **({"hidden": [fingerprint(tensor) for tensor in inputs]} if journal.plan.hides_fresh else {}),
        }

    def shown(self, tensor: torch.Tensor) -> str:
        """Its fingerprint, unless the plan hides what was handed out uninitialised."""
        hidden = journal.plan.hides_fresh and self.memory.history(tensor).fresh is not None
        return journal.HIDDEN if hidden else fingerprint(tensor)

    def writers(self, tensor: torch.Tensor) -> list[int]:
        """The operations that have written it, counted from 0; none: it is not of their making."""
        history = self.memory.history(tensor)
        hidden = journal.plan.hides_fresh and history.fresh is not None
        return [history.fresh] if hidden else history.writers

    def where(self) -> dict:
        """Module and place; in backward, those of the forward operation."""
        node = torch._C._current_autograd_node()
        if node is None:
            here = {"module": journal.running[-1] if journal.running else "", "places": journal.places()}
            self.forward.setdefault(torch.autograd._get_sequence_nr() - 1, here)  # one without a node keeps off
            return here
        there = self.forward.get(node._sequence_nr(), {"module": "", "places": []})
        return {"module": there["module"], "places": there["places"] + journal.places(), "backward": node.name()}


operations = Operations()


def filled(operation: str, result):
    """What an operation that hands out uninitialised memory gives, with the plan's filling."""
    if operation in FRESH and journal.plan.fill is not None:
        result.fill_(journal.plan.fill)
    return result


def generator_state(func, args: tuple, kwargs: dict) -> dict | None:
    """The generator from which an operation will draw: its seed, a fingerprint of its state. None: it draws none."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return None
    generator = kwargs.get("generator") or default_generator(next(tensors([args, kwargs]), None), kwargs.get("device"))
    own = kwargs.get("generator") is not None
    state = hashlib.sha1(bytes(generator.get_state().untyped_storage())).hexdigest()[:12]
    return {"seed": generator.initial_seed(), "state": state, "own": own}


def default_generator(tensor: torch.Tensor | None, device: torch.device | None) -> torch.Generator:
    device = tensor.device if tensor is not None else device
    if device is None or device.type != "cuda":
        return torch.default_generator
    return torch.cuda.default_generators[device.index if device.index is not None else torch.cuda.current_device()]


def arguments_written(func, args: tuple, kwargs: dict) -> Iterator[torch.Tensor]:
    """The tensors that an operation changes in place, by its schema."""
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info and argument.alias_info.is_write:
            yield from tensors(args[position] if position < len(args) else kwargs.get(argument.name))


def tensors(value) -> Iterator[torch.Tensor]:
    """Those in nested lists, tuples and dictionaries, in order; subclasses that wrap others are opaque."""
    if isinstance(value, torch.Tensor):
        own = type(value) in (torch.Tensor, nn.Parameter) and value.layout is torch.strided
        if own and not value.is_meta and not value.is_nested:
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)


def fingerprint(tensor: torch.Tensor) -> str:
    """Equal for equal type, shape and bits, as "float32[64,10] 1f0c…"."""
    return f"{str(tensor.dtype).removeprefix('torch.')}[{','.join(map(str, tensor.shape))}] {digest(tensor)}"


def digest(tensor: torch.Tensor) -> str:
    """Of type, shape and bits, wherever the tensor lies: 12 hex digits."""
    found = Fingerprint()
    add(found, tensor)
    return found.text([number.item() for number in found.sums])[:12]


def described(value) -> str:
    """Arguments for people: tensors as dots, the rest as it is written in Python."""
    if isinstance(value, torch.Tensor):
        return "·"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(described, value))})"
    if value is None or isinstance(value, bool | int | float | str | torch.dtype | torch.device):
        return str(value)
    return type(value).__name__


def see(what: str, name: str, found: list[torch.Tensor], **more) -> None:
    """A landmark of the training, in every step."""
    writers = [operations.writers(tensor) for tensor in found]
    journal.see(what, name, [operations.shown(tensor) for tensor in found], writers, **more)


def enter_module(module: nn.Module, inputs: tuple) -> None:
    if not has_numbers():  # compiled, for one, into code that takes no hooks: `fullgraph=True` would refuse them
        return
    if module not in names:
        learn_names(module)
    journal.running.append(names[module])
    with unwatched() as watched:
        if watched and len(journal.running) == 1:
            see("input", names[module], list(tensors(arguments(inputs))))


def leave_module(module: nn.Module, inputs: tuple, output) -> None:
    if not has_numbers():
        return
    with unwatched() as watched:
        if watched:
            see("output", names[module], list(tensors(output)))
    journal.running.pop()


def learn_names(root: nn.Module) -> None:
    """Paths as in `named_modules`, below the class of the module that was called first."""
    for path, module in root.named_modules(prefix=type(root).__name__):
        names[module] = path if module is root else f"{path} ({type(module).__name__})"
    for path, parameter in root.named_parameters(prefix=type(root).__name__):
        names[parameter] = path


def finish_step() -> None:
    if _watching:
        operations.forward.clear()
        journal.finish_step()


def note_gradients(optimizer: torch.optim.Optimizer) -> None:
    with unwatched() as watched:
        if watched:
            found = {name: each.grad for name, each in named_parameters(optimizer) if each.grad is not None}
            see("gradients", type(optimizer).__name__, list(found.values()), labels=list(found))


def note_update(optimizer: torch.optim.Optimizer) -> None:
    with unwatched() as watched:
        if watched:
            found = dict(named_parameters(optimizer))
            see("update", type(optimizer).__name__, list(found.values()), labels=list(found))


def named_parameters(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, torch.Tensor]]:
    for number, parameter in enumerate(parameters(optimizer)):
        yield names.get(parameter, f"parameter {number}"), parameter


def note_batch(batch, loader) -> None:
    with unwatched() as watched:
        if watched:
            found, name = list(tensors(batch)), f"DataLoader(num_workers={loader._num_workers})"
            see("batch", name, found, rows=[rows(tensor) for tensor in found])


def rows(tensor: torch.Tensor) -> str:
    """Equal for the same rows in any order; where there are none, or too many, for equal bits."""
    if tensor.ndim == 0 or len(tensor) > 4096:
        return digest(tensor)
    return f"{sum(int(digest(row), 16) for row in tensor):x}"
