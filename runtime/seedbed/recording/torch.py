"""torch: a step is one `backward()` with what led to it, and the optimizer's step if one follows."""

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from weakref import WeakSet

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from seedbed.observe.fingerprint import Fingerprint, as_float
from seedbed.recording.writer import harmless, thread_name, writer

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}  # by bytes an element
WEIGHTS = 1 << 20
SAMPLES, SAMPLE = 256, 4096  # bytes each
LATEST = 64  # steps that may wait for a GPU before the training has to


def watch(torch: ModuleType) -> None:
    """Watch every model's first call, every batch, every backward pass and every optimizer's step."""
    from torch.nn.modules.module import register_module_forward_pre_hook
    from torch.utils.data import dataloader

    register_module_forward_pre_hook(before_forward)
    register_optimizer_step_pre_hook(before_update)
    register_optimizer_step_post_hook(after_update)
    torch.autograd.backward = watched_backward(torch.autograd.backward)
    batches = dataloader._BaseDataLoaderIter
    batches.__next__ = watched_next(batches.__next__)
    writer.described.append(lambda: {"threads": torch.get_num_threads()})
    writer.on_exit.append(end_open_steps)
    os.register_at_fork(after_in_child=here.begin)


def watched_backward(backward: Callable) -> Callable:
    """The loss is noted before, since its memory may be reused; what happens inside a pass (checkpointing) is not."""

    @functools.wraps(backward)
    def watched(tensors, *args, **kwargs):
        if is_passing():
            return backward(tensors, *args, **kwargs)
        note_losses(tensors)
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


def watched_next(next_batch: Callable) -> Callable:
    @functools.wraps(next_batch)
    def watched(self):
        batch = next_batch(self)
        note_batch(batch)
        return batch

    return watched


def noting(note: Callable) -> Callable:
    """Nothing is noted where there are no numbers: in code being compiled, transformed or captured for a GPU."""
    note = harmless(torch.no_grad()(note))

    @functools.wraps(note)
    def noting(*args):
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return
        if not (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()):
            note(*args)

    return noting


def before_forward(module: torch.nn.Module, inputs: tuple) -> None:
    """A module is a model unless a model that was called earlier contains it."""
    if torch.compiler.is_compiling() or is_passing() or not torch.is_grad_enabled() or module in here.parts:
        return
    note_call(module, inputs)


@noting
def note_call(module: torch.nn.Module, inputs: tuple) -> None:
    end_step_with_loss()
    if module not in here.models:
        here.models.add(module)
        here.parts.update(part for part in module.modules() if part is not module)
        add(here.step.fingerprint("initial"), [*module.parameters(), *module.buffers()])
    add(here.step.fingerprint("data"), inputs)


@noting
def note_batch(batch: object) -> None:
    end_step_with_loss()
    for part in leaves(batch):
        add_leaf(here.step.fingerprint("data"), sample(part))


@noting
def note_losses(tensors) -> None:
    end_step_with_loss()
    open_steps[thread_name()] = here.step
    for tensor in [tensors] if isinstance(tensors, torch.Tensor) else tensors:
        here.step.losses.append(tensor.detach() if tensor.numel() == 1 else tensor.detach().sum())


@noting
def before_update(optimizer: Optimizer, *_: object) -> None:
    if optimizer not in here.optimizers:
        here.optimizers.add(optimizer)
        add(here.step.fingerprint("initial"), parameters(optimizer))
    gradients = [parameter.grad for parameter in parameters(optimizer)]
    add(here.step.fingerprint("gradients"), gradients)
    here.step.norms += norms([gradient for gradient in gradients if gradient is not None])


@noting
def after_update(optimizer: Optimizer, *_: object) -> None:
    add(here.step.fingerprint("parameters"), parameters(optimizer))
    end_step()


def parameters(optimizer: Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def norms(gradients: list[torch.Tensor]) -> list[torch.Tensor]:
    """The L2 norm of each."""
    return list(torch._foreach_norm([dense(gradient) for gradient in gradients])) if gradients else []


class Step:
    """What was seen of one step. Numbers on a GPU are on their way until they are needed."""

    def __init__(self) -> None:
        self.fingerprints: dict[str, Fingerprint] = {}
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []

    def fingerprint(self, kind: str) -> Fingerprint:
        return self.fingerprints.setdefault(kind, Fingerprint())

    def fetch(self) -> None:
        """Have all numbers brought to the CPU at once, beside the training."""
        floats = [number.double().reshape(()).view(torch.int64) for number in (*self.losses, *self.norms)]
        numbers = [*floats, *(number for kind in self.fingerprints.values() for number in kind.sums)]
        device = next((number.device for number in numbers if number.is_cuda), torch.device("cpu"))
        stacked = torch.stack([number.to(device) for number in numbers]) if numbers else torch.empty(0)
        self.copied = None
        self.numbers = stacked
        if device.type == "cuda":
            self.numbers = torch.empty(stacked.shape, dtype=torch.int64, pin_memory=True)
            self.numbers.copy_(stacked, non_blocking=True)
            self.copied = torch.cuda.Event()
            self.copied.record(torch.cuda.current_stream(device))

    def ready(self) -> bool:
        return self.copied is None or self.copied.query() or len(writer.waiting) > LATEST

    def told(self) -> dict:
        if self.copied:
            self.copied.synchronize()
        numbers = iter(self.numbers.tolist())
        losses = [as_float(next(numbers)) for _ in self.losses]
        norm = sum(as_float(next(numbers)) ** 2 for _ in self.norms) ** 0.5
        line = {kind: found.text([next(numbers) for _ in found.sums]) for kind, found in self.fingerprints.items()}
        line |= {"loss": [loss.hex() for loss in losses]} if losses else {}
        return line | ({"norm": norm.hex()} if self.norms else {})


class Here(threading.local):
    """What the thread that asks has seen: several may train at once, one model or each its own."""

    def __init__(self) -> None:
        self.models: WeakSet[torch.nn.Module] = WeakSet()  # those that are called by the script itself
        self.parts: WeakSet[torch.nn.Module] = WeakSet()  # those inside them
        self.optimizers: WeakSet[Optimizer] = WeakSet()
        self.passing = False  # whether a backward pass is under way
        self.step = Step()

    def begin(self) -> None:
        """A forked child has the step of no thread, but knows what its parent knew."""
        open_steps.clear()
        self.step = Step()


here = Here()
open_steps: dict[str, Step] = {}  # by thread: those that have a loss


def is_passing() -> bool:
    """Whether this is inside a backward pass; on a GPU its threads are torch's own."""
    return here.passing or torch._C._current_autograd_node() is not None


def end_step_with_loss() -> None:
    """A loss that no optimizer has followed is a step too: gradients may be accumulated over several."""
    if here.step.losses:
        end_step()


def end_step() -> None:
    ended, here.step = here.step, Step()
    name = thread_name()
    open_steps.pop(name, None)
    ended.fetch()
    writer.step(ended, name)


def end_open_steps() -> None:
    """Those that no optimizer has ended, in the main thread and in threads that may be gone by now."""
    for name, step in sorted(open_steps.items()):
        step.fetch()
        writer.step(step, name)
    open_steps.clear()


def sample(part: torch.Tensor | tuple) -> torch.Tensor | tuple:
    """Of a large tensor on the CPU every part a little: the model sees all of it, often faster, on a GPU."""
    if not isinstance(part, torch.Tensor) or part.is_cuda or part.nbytes <= SAMPLES * SAMPLE:
        return part
    rows = dense(part).reshape(-1).view(torch.uint8)
    return rows[: len(rows) // SAMPLES * SAMPLES].view(SAMPLES, -1)[:, :SAMPLE]


def add(fingerprint: Fingerprint, value: object) -> None:
    """Every tensor, array, number and string inside it."""
    for part in leaves(value):
        add_leaf(fingerprint, part)


def add_leaf(fingerprint: Fingerprint, part: torch.Tensor | tuple) -> None:
    if isinstance(part, torch.Tensor):
        add_tensor(fingerprint, dense(part))
    else:
        fingerprint.add(*part)


def leaves(value: object) -> Iterator[torch.Tensor | tuple]:
    """What a batch holds, in order; objects of unknown types are passed over."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield (repr(name),)
            yield from leaves(part)
    elif isinstance(value, bytes | str | int | float | complex | None):
        yield (repr(value),)
    elif hasattr(value, "tobytes"):  # numpy
        yield f"{value.shape} {value.dtype}", value.tobytes()
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers that this process holds of it, in one piece of memory."""
    if hasattr(tensor, "to_local"):  # a shard
        tensor = tensor.to_local()
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values()
    return tensor.detach().resolve_conj().resolve_neg().contiguous()


def add_tensor(fingerprint: Fingerprint, tensor: torch.Tensor) -> None:
    what = f"{tuple(tensor.shape)} {tensor.dtype}"
    if tensor.device.type == "cpu":
        size = tensor.numel() * tensor.element_size()
        fingerprint.add(what, (ctypes.c_char * size).from_address(tensor.data_ptr()) if size else b"")
    else:
        fingerprint.add(what)
        fingerprint.sums.append(weighted_sum(tensor.reshape(-1).view(INTEGERS[tensor.element_size()])))


def weighted_sum(integers: torch.Tensor) -> torch.Tensor:
    """A sum modulo 2**64 in which every place has an odd weight of its own: it changes with any one bit."""
    weights = weights_on(integers.device)
    total = torch.zeros((), dtype=torch.int64, device=integers.device)
    for row, chunk in enumerate(integers.split(WEIGHTS)):
        total += (chunk * weights[: len(chunk)]).sum() * (2 * row + 1)
    return total


@functools.cache
def weights_on(device: torch.device) -> torch.Tensor:
    """Odd 64-bit numbers that look random (8 MiB)."""
    weights = torch.arange(1, WEIGHTS + 1, device=device) * -0x61C8864680B583EB  # 2**64 / golden ratio
    return (weights ^ (weights >> 29)) * -0x40A7B892E31B1A47 | 1
