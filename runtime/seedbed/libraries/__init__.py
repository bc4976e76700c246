"""One module for each library: `configure(module)` seeds it and sets its flags, right after it has run.

`state(module)`, where there is one, reads back what is in force, in the format of `seedbed.settings.CALLS`.
"""

import os
import sys
from importlib import import_module
from types import ModuleType

from seedbed import environment, lineage, terminal
from seedbed.settings import GPU

watchers = []  # each is called with the name and the module when a library that is waited for is ready
_warned = False


def prepare(name: str) -> None:
    """Set what the library will read from the environment, and say once what comes too late to be set."""
    global _warned
    if name not in ("numpy", *GPU):
        return
    environment.adjust(os.environ, environment.mode(os.environ), (name,))
    if not _warned and not hash_seed_is_fixed():
        _warned = True
        terminal.log(
            "Python started without PYTHONHASHSEED (or with -E or -I, which ignore it): sets of strings vary in order"
        )


def ready(name: str, module: ModuleType, library: str) -> None:
    """Have the module that has just run configured by this module of ours, and told to whoever watches. Empty: none."""
    if library:
        from seedbed import process  # not before a library is imported

        with process.OutsideThreadTask():
            import_module(f"seedbed.libraries.{library}").configure(module)
    if library in GPU:  # mode strict may refuse their operations
        from seedbed import remedy

        remedy.watch()
    for watch in watchers:
        watch(name, module)


def hash_seed_is_fixed() -> bool:
    """Whether sets of strings have the same order in every run."""
    return environment.is_number(lineage.hash_seed) and not sys.flags.ignore_environment
