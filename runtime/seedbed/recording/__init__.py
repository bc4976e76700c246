"""SEEDBED_RECORD=<folder>: each training process writes down there what it does, step by step, as bits.

`record` reads what was written, `launch` runs a command and has it
recorded; the rest works inside the process.
"""

from importlib import import_module
from types import ModuleType

from seedbed import libraries

FOLDER = "SEEDBED_RECORD"


def start() -> None:
    """Have the libraries watched that a script may train with, if it imports them."""
    libraries.watchers.append(watch)


def watch(name: str, module: ModuleType) -> None:
    if name == "keras" and module.backend.backend() == "torch":
        import_module("seedbed.observe.keras_torch").hook()
    if trains(name, module):
        import_module(f"seedbed.recording.{name}").watch(module)


def trains(name: str, module: ModuleType) -> bool:
    """Whether a script may train with this library, and we know how it does."""
    return name == "torch" or (name == "keras" and module.backend.backend() == "tensorflow")
