"""Whose code is calling: the user's own, Python's standard library, or an installed package.

It imports nothing but os and sys: `seedbed.tools` asks it at the start of Python.
"""

import os
import sys

STANDARD_LIBRARY = os.__file__.rpartition("/")[0] + "/"
PACKAGES = ("/site-packages/", "/dist-packages/")
SEEDBED = __file__.rpartition("/")[0] + "/"
PASSED_THROUGH = (SEEDBED, *(f"{STANDARD_LIBRARY}{name}.py" for name in ("random", "secrets", "uuid")))
USER, PYTHON = "__main__", "python"  # what `maker` says of the user's own code, whatever its name, and of Python's

Place = tuple[str, int]  # file, line


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
            if is_package(file):
                return str(frame.f_globals.get("__name__", ""))
            return PYTHON if is_python(file) else USER
        frame = frame.f_back
    return USER


def source(frame) -> str:
    """The frame's file. Generated code (dataclasses, attrs) belongs to the module it runs in; empty: to none."""
    file = frame.f_code.co_filename
    if not file.startswith("<") or file.startswith("<frozen"):
        return file
    return frame.f_globals.get("__file__") or ("" if "generated" in file else file)


def is_users(file: str) -> bool:
    """Whether the file belongs neither to Python nor to an installed package, nor to Seedbed."""
    return not (is_package(file) or is_python(file) or file.startswith(SEEDBED))


def package(file: str) -> str:
    """The name, among the installed packages, of what the file belongs to; empty: it is none of them."""
    found = next((below for folder in PACKAGES if (below := file.partition(folder)[2])), "")
    return found.partition("/")[0]


def beyond(files: tuple[str, ...]):
    """The nearest frame whose file's name begins with none of these, among which are Seedbed's; None: there is none."""
    frame = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(files):
        frame = frame.f_back
    return frame


def caller() -> Place | None:
    """The nearest caller beyond Seedbed and the modules that only pass randomness on; None: not the user's code."""
    frame = beyond(PASSED_THROUGH)
    return place(frame) if frame and is_users(frame.f_code.co_filename) else None


def users_line(frame) -> Place | None:
    """The user's line that this frame was called from, through whatever packages."""
    while frame and not is_users(frame.f_code.co_filename):
        frame = frame.f_back
    return place(frame) if frame else None


def place(frame) -> Place:
    return frame.f_code.co_filename, frame.f_lineno


def users_files() -> list[str]:
    """The source files of the user's modules; from the loaders, since a script's `__file__` is gone at exit."""
    loaders = (getattr(module, "__loader__", None) for module in list(sys.modules.values()))
    files = {path for path in (getattr(loader, "path", "") for loader in loaders) if isinstance(path, str)}
    return sorted(file for file in files if file.endswith(".py") and is_users(file))
