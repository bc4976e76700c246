"""Whose code is calling: the user's own, Python's standard library, or an installed package.

It imports nothing but os and sys: `seedbed.tools` asks it at the start of Python.
"""

import os
import sys

STANDARD_LIBRARY = os.__file__.rpartition("/")[0] + "/"
PACKAGES = ("/site-packages/", "/dist-packages/")
SEEDBED = __file__.rpartition("/")[0] + "/"
USER, PYTHON = "__main__", "python"  # what `maker` says of the user's own code, whatever its name, and of Python's


def is_package(file: str) -> bool:
    """Whether the file belongs to an installed package."""
    return any(folder in file for folder in PACKAGES)


def is_python(file: str) -> bool:
    """Whether the file belongs to the standard library."""
    return file.startswith((STANDARD_LIBRARY, "<frozen")) and not is_package(file)


def maker() -> str:
    """Who made the generator that is being seeded: `USER`, `PYTHON`, or the dotted name of a module of a package."""
    module = sys.modules["random"]
    frame = sys._getframe(1)
    while frame:
        file = source(frame)
        if file and not file.startswith(SEEDBED) and file != module.__file__:
            return name_of(frame, file)
        frame = frame.f_back
    return USER


def source(frame) -> str:
    """The frame's file. Generated code (dataclasses, attrs) belongs to the module it runs in; empty: to none."""
    file = frame.f_code.co_filename
    if not file.startswith("<") or file.startswith("<frozen"):
        return file
    return frame.f_globals.get("__file__") or ("" if "generated" in file else file)


def name_of(frame, file: str) -> str:
    if is_package(file):
        return str(frame.f_globals.get("__name__", ""))
    return PYTHON if is_python(file) else USER
