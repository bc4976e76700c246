"""One module for each library: `configure(module)` seeds it and sets its flags, right after it has run.

`state(module)`, where there is one, reads back what is in force, in the words of the table (`seedbed.settings.CALLS`).
"""

import os
import sys
from importlib import import_module
from types import ModuleType

from seedbed import boot, environment

NUMERIC = ("numpy", "torch", "tensorflow", "jax")
REFUSING = ("torch", "tensorflow", "jax")  # whose operations mode strict may refuse
_said = False


def prepare(name: str) -> None:
    """Set what the library will read from the environment, and say once what comes too late to be set."""
    global _said
    if name not in NUMERIC:
        return
    environment.adjust(os.environ, environment.mode(os.environ), (name,))
    if not _said and not hash_seed_is_fixed():
        _said = True
        boot.say(
            "Python started without PYTHONHASHSEED (or with -E or -I, which ignore it): sets of strings vary in order"
        )


def configure(library: str, module: ModuleType) -> None:
    """Have the module that has just run configured."""
    from seedbed import process  # not before a library is imported

    with process.OutsideThreadTask():
        import_module(f"seedbed.libraries.{library}").configure(module)
    if library in REFUSING:
        import_module("seedbed.remedy").watch()
    if os.environ.get("SEEDBED_AUDIT") == "1":
        import_module("seedbed.audit").watch(library, module)


def hash_seed_is_fixed() -> bool:
    """Whether sets of strings have the same order in every run."""
    return environment.is_number(boot.hash_seed) and not sys.flags.ignore_environment
