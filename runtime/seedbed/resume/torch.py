"""torch: what state each step begins with, and the batch that it got last, as fingerprints in the step's line.

Generators, the model and the batch are looked at before the first call of a model in a step, the optimizer before its
step. What is loaded but not trained on (skipped batches, a validation before) is not in the batch.
"""

from collections.abc import Iterator
from types import ModuleType
from weakref import WeakSet

import torch
from torch.optim.optimizer import Optimizer

from seedbed import wrapping
from seedbed.observe.fingerprint import Fingerprint
from seedbed.observe.harmless import harmless
from seedbed.observe.tensors import add, add_leaf, leaves, sample
from seedbed.observe.torch import parameters, subscribe
from seedbed.recording import torch as recording
from seedbed.resume import inside
from seedbed.resume.inside import PREFIX

scalers: WeakSet = WeakSet()
NOT_STATE = ("params", "lr", "initial_lr")  # of a group of parameters
BATCH, INPUTS = f"{PREFIX}batch", f"{PREFIX}inputs"
RATE, SCALER = f"{PREFIX}rate", f"{PREFIX}scaler"
OPTIMIZER, WEIGHTS, STATISTICS = f"{PREFIX}optimizer", f"{PREFIX}weights", f"{PREFIX}statistics"


def watch(torch: ModuleType) -> None:
    """Subscribe after the recorder, whose step these fingerprints become a part of."""
    subscribe(batch=harmless(note_batch), call=harmless(note_call), gradients=harmless(note_optimizer))
    wrapping.after(torch.amp.grad_scaler.GradScaler, "__init__", lambda _, scaler, *__, **___: scalers.add(scaler))


def note_batch(batch: object, _: object) -> None:
    step = recording.here.step
    step.fingerprints[BATCH] = Fingerprint()
    for part in leaves(batch):
        add_leaf(step.fingerprint(BATCH), sample(part))


def note_call(model: torch.nn.Module, inputs: tuple) -> None:
    step = recording.here.step
    note_generators(step)
    called = step.__dict__.setdefault("called", set())
    if id(model) not in called:
        called.add(id(model))
        add(step.fingerprint(WEIGHTS), list(model.parameters()))
        add(step.fingerprint(STATISTICS), list(saved_buffers(model)))
    add(step.fingerprint(INPUTS), inputs)


def saved_buffers(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Without those that a `state_dict` leaves out."""
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and name not in module._non_persistent_buffers_set:
                yield buffer


def note_optimizer(optimizer: Optimizer) -> None:
    step = recording.here.step
    note_generators(step)
    if WEIGHTS not in step.fingerprints:  # no module was called
        add(step.fingerprint(WEIGHTS), parameters(optimizer))
    for group in optimizer.param_groups:
        add(step.fingerprint(RATE), group["lr"])
        add(step.fingerprint(OPTIMIZER), {key: group[key] for key in group if key not in NOT_STATE})
        add(step.fingerprint(OPTIMIZER), [optimizer.state.get(parameter) for parameter in group["params"]])
    for scaler in scalers:
        add(step.fingerprint(SCALER), [getattr(scaler, name, None) for name in ("_scale", "_growth_tracker")])


def note_generators(step: recording.Step) -> None:
    """Once a step, at its beginning."""
    if not step.__dict__.get("noted"):
        step.noted = True
        for name, found in inside.all_generators().items():
            step.fingerprint(f"{PREFIX}{name}").add(found)
