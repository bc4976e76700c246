"""`seedbed trace`: the first operation that gave another result although it was given the same.

Inside a traced process `start` writes a journal (`journal`, `surroundings`, `torch`, `tensorflow`) and makes the one
change that a hunt tries (`changes`). Outside, `search` runs the command and compares, `difference` finds the first line
in which two journals differ, `cause` says where that comes from, and `hunt` tries one change at a time.
"""

from importlib import import_module
from types import ModuleType

from seedbed import libraries
from seedbed.trace import changes, journal, surroundings


def start() -> None:
    """Called in every Python process of a traced command, before any user code: SEEDBED_TRACE names the folder."""
    journal.start()
    surroundings.start()
    changes.start()
    libraries.watchers.append(watch)


def watch(name: str, module: ModuleType) -> None:
    """Called when a library is ready."""
    journal.write(ready=name)
    surroundings.watch(name, module)
    changes.watch(name, module)
    if name in ("torch", "tensorflow"):
        import_module(f"seedbed.trace.{name}").start()
    elif name == "keras" and module.backend.backend() == "tensorflow":
        import_module("seedbed.trace.tensorflow").follow_keras(module)
    elif name == "keras" and module.backend.backend() == "torch":  # its layers are torch's modules
        import_module("seedbed.observe.keras_torch").hook()
