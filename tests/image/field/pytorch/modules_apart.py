"""Imports each installed module of the table, or those named; prints which, and which share the user's `random`."""

import importlib
import json
import random
import sys

from seedbed.boot import DRAW_NAMES_APART


def shares(value: object) -> bool:
    """Whether it is the module that the user has, or one of its functions."""
    return value is random or getattr(value, "__self__", None) is random._inst


def imported(name: str) -> object:
    try:
        return importlib.import_module(name)
    except Exception:  # not installed, or without an extra that it needs
        return None


wanted = sys.argv[1:] or DRAW_NAMES_APART
before = random.getstate()
modules = {name: module for name in sorted(DRAW_NAMES_APART) if name in wanted and (module := imported(name))}
sharing = [name for name, module in modules.items() if any(shares(value) for value in vars(module).values())]
functions = [
    name for name, module in modules.items() if module.__builtins__["__import__"]("random").random is random.random
]
print(json.dumps([sorted(modules), sharing + functions, random.getstate() == before]))
