"""torch: what state each step begins with, and the batch that it got last, as fingerprints in the step's line.

Generators, the model and the batch are looked at before the first call of a model in a step, the optimizer before its
step. What is loaded but not trained on (skipped batches, a validation before) is not in the batch.
"""

from collections.abc import Iterator
from types import ModuleType
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch.optim.optimizer import Optimizer

from seedbed import wrapping
from seedbed.observe.fingerprint import Fingerprint
from seedbed.observe.harmless import harmless
from seedbed.observe.tensors import add, given
from seedbed.observe.torch import parameters, subscribe
from seedbed.recording import torch as recording
from seedbed.recording.form import STATE
from seedbed.resume import inside

NOT_STATE = ("params", "lr", "initial_lr")  # of a group of parameters
scalers: WeakSet = WeakSet()
called: WeakKeyDictionary[recording.Step, set[int]] = WeakKeyDictionary()  # the models of each step


def watch(torch: ModuleType) -> None:
    """Subscribe after the recorder, whose step these fingerprints become a part of."""
    subscribe(batch=harmless(note_batch), call=harmless(note_call), gradients=harmless(note_optimizer))
    wrapping.after(torch.amp.grad_scaler.GradScaler, "__init__", lambda _, scaler, *__, **___: scalers.add(scaler))


def state(name: str) -> Fingerprint:
    """Of one kind of state, in the step at hand."""
    return recording.here.step.fingerprint(STATE + name)


def note_batch(batch: object, _: object) -> None:
    recording.here.step.fingerprints[STATE + "batch"] = last = Fingerprint()
    add(last, batch, sampled=True)


def note_call(model: torch.nn.Module, arguments: list) -> None:
    note_generators()
    models = called.setdefault(recording.here.step, set())
    if id(model) not in models:
        models.add(id(model))
        add(state("weights"), list(model.parameters()))
        add(state("statistics"), list(saved_buffers(model)))
    add(state("inputs"), given(arguments))


def saved_buffers(model: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Without those that a `state_dict` leaves out."""
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and name not in module._non_persistent_buffers_set:
                yield buffer


def note_optimizer(optimizer: Optimizer) -> None:
    note_generators()
    if STATE + "weights" not in recording.here.step.fingerprints:  # no module was called
        add(state("weights"), parameters(optimizer))
    for group in optimizer.param_groups:
        add(state("rate"), group.get("lr"))
        add(state("optimizer"), {key: group[key] for key in group if key not in NOT_STATE})
        add(state("optimizer"), [optimizer.state.get(parameter) for parameter in group["params"]])
    for scaler in scalers:
        add(state("scaler"), [getattr(scaler, name, None) for name in ("_scale", "_growth_tracker")])


def note_generators() -> None:
    """Once a step, at its beginning."""
    if STATE + "torch" not in recording.here.step.fingerprints:
        for name, found in inside.all_generators().items():
            state(name).add(found)
