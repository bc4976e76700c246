"""torch: what was seen of each step, as bits."""

import os
import threading
from types import ModuleType
from weakref import WeakSet

import torch
from torch.optim.optimizer import Optimizer

from seedbed.observe.fingerprint import Fingerprint, as_float
from seedbed.observe.harmless import harmless
from seedbed.observe.tensors import add, dense, given
from seedbed.observe.torch import parameters, subscribe
from seedbed.recording.writer import thread_name, writer

LATEST = 64  # steps that may wait for a GPU before the training has to


def watch(torch: ModuleType) -> None:
    """Note every model's first call, every batch, every backward pass and every optimizer's step."""
    notes = {
        "batch": note_batch,
        "model": note_model,
        "call": note_call,
        "losses": note_losses,
        "gradients": note_gradients,
        "update": note_update,
        "end": end_step,
    }
    subscribe(**{event: harmless(note) for event, note in notes.items()})
    writer.described.append(lambda: {"threads": torch.get_num_threads()})
    writer.on_exit.append(end_open_steps)
    os.register_at_fork(after_in_child=here.begin)


def note_model(model: torch.nn.Module) -> None:
    add(here.step.fingerprint("initial"), [*model.parameters(), *model.buffers()])


def note_call(model: torch.nn.Module, arguments: list) -> None:
    add(here.step.fingerprint("data"), given(arguments))


def note_batch(batch: object, _: object) -> None:
    add(here.step.fingerprint("data"), batch, sampled=True)


def note_losses(tensors) -> None:
    open_steps[thread_name()] = here.step
    for tensor in [tensors] if isinstance(tensors, torch.Tensor) else tensors:
        if isinstance(tensor, torch.Tensor) and not tensor.is_meta:  # an edge of autograd's graph has no numbers
            loss = torch.view_as_real(tensor.detach().resolve_conj()) if tensor.is_complex() else tensor.detach()
            # A copy, since the script may change it before the step ends.
            here.step.losses.append(loss.clone() if loss.numel() == 1 else loss.sum())


def note_gradients(optimizer: Optimizer) -> None:
    if optimizer not in here.optimizers:
        here.optimizers.add(optimizer)
        add(here.step.fingerprint("initial"), parameters(optimizer))
    gradients = [parameter.grad for parameter in parameters(optimizer)]
    add(here.step.fingerprint("gradients"), gradients)
    if found := [dense(gradient) for gradient in gradients if gradient is not None and not gradient.is_meta]:
        here.step.norms += torch._foreach_norm(found)


def note_update(optimizer: Optimizer) -> None:
    add(here.step.fingerprint("parameters"), parameters(optimizer))


class Step:
    """What was seen of one step. Numbers on a GPU are on their way until they are needed."""

    def __init__(self) -> None:
        self.fingerprints: dict[str, Fingerprint] = {}
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []  # the L2 norm of each gradient

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

    def line(self) -> dict:
        if self.copied:
            self.copied.synchronize()
        numbers = iter(self.numbers.tolist())
        losses = [as_float(next(numbers)) for _ in self.losses]
        norm = sum(as_float(next(numbers)) ** 2 for _ in self.norms) ** 0.5
        seen = {kind: found for kind, found in self.fingerprints.items() if not found.empty}
        line = {kind: found.text([next(numbers) for _ in found.sums]) for kind, found in seen.items()}
        line |= {"loss": [loss.hex() for loss in losses]} if losses else {}
        return line | ({"norm": norm.hex()} if self.norms else {})


class Here(threading.local):
    """What the thread that asks is at."""

    def __init__(self) -> None:
        self.optimizers: WeakSet[Optimizer] = WeakSet()
        self.step = Step()

    def begin(self) -> None:
        """A forked child has the step of no thread."""
        open_steps.clear()
        self.step = Step()


here = Here()
open_steps: dict[str, Step] = {}  # by thread: those that have a loss


def end_step() -> None:
    ended, here.step = here.step, Step()
    name = thread_name()
    open_steps.pop(name, None)
    write(ended, name)


def end_open_steps() -> None:
    """Those that no optimizer has ended, in the main thread and in threads that may be gone by now."""
    for name, step in sorted(open_steps.items()):
        write(step, name)
    open_steps.clear()


def write(step: Step, thread: str) -> None:
    step.fetch()
    writer.step(step.line, thread, step.ready)
