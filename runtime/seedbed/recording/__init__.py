"""SEEDBED_RECORD=<folder>: each training process writes down there what it does, step by step, as bits.

SEEDBED_RECORD_STATES=1 adds the state that each step began with, SEEDBED_RECORD_STOP=<step>:<signal> ends the process
after a step; both are the work of `seedbed.resume`. `record` reads what was written, `launch` runs a command and has it
recorded; the rest works inside the process.
"""

import os
from importlib import import_module
from types import ModuleType

from seedbed import libraries

FOLDER, STATES, STOP = "SEEDBED_RECORD", "SEEDBED_RECORD_STATES", "SEEDBED_RECORD_STOP"
WATCHED = ("torch", "keras")


def start() -> None:
    """Have the libraries watched that a script may train with, if it imports them."""
    libraries.watchers.append(watch)


def watch(name: str, module: ModuleType) -> None:
    if name in WATCHED and (name != "keras" or module.backend.backend() == "tensorflow"):
        import_module(f"seedbed.recording.{name}").watch(module)
        if STATES in os.environ or STOP in os.environ:
            import_module("seedbed.resume.inside").start(name, module)
