"""Files of the user's that have the name of a module of Python's own or of a library, and are found first.

Plain Python runs such a program as long as nothing that it imports needs the other one. So does Seedbed, which finds
Python's own modules for itself, and says which library it does not seed. It imports nothing but os and sys.
"""

import os
import sys

from seedbed import callers

_found = {}  # by folder
_own = {}  # Python's own modules, by name, while the user's are those that imports find


class Unshadowed:
    """While it is entered, imports find Python's own modules; then the user's again."""

    def __enter__(self) -> None:
        self.path, folders = list(sys.path), before_the_library()
        self.names = {name for folder in folders for name in modules_in(folder)}
        if self.names:
            sys.path[:] = [folder for folder in sys.path if folder not in folders]
            self.before = {name for name in sys.modules if self.is_shadowed(name)}
            self.users = {name: sys.modules.pop(name) for name in self.before if is_users(sys.modules[name])}
            sys.modules.update(_own)

    def __exit__(self, *_: object) -> None:
        if self.names:
            sys.path[:] = self.path
            new = {name for name in sys.modules if self.is_shadowed(name)} - (self.before - self.users.keys())
            _own.update({name: sys.modules.pop(name) for name in new})
            sys.modules.update(self.users)

    def is_shadowed(self, name: str) -> bool:
        return name.partition(".")[0] in self.names


def before_the_library() -> list[str]:
    """The folders in which imports look before they come to Python's own."""
    folders = []
    for folder in sys.path:
        if f"{folder}/" == callers.STANDARD_LIBRARY:
            return folders
        folders.append(folder)
    return []


def modules_in(folder: str) -> set[str]:
    """The names of Python's own modules that this folder has modules of, too. Looked up once: it may be a large one."""
    if folder not in _found:
        _found[folder] = look_into(folder)
    return _found[folder]


def look_into(folder: str) -> set[str]:
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208 - pathlib takes long to import
    except OSError:
        return set()
    known = ((name, name.partition(".")[0]) for name in names)
    return {
        stem
        for name, stem in known
        if stem in sys.stdlib_module_names
        and (name.endswith((".py", ".so")) or os.path.exists(f"{folder or '.'}/{name}/__init__.py"))  # noqa: PTH110
    }


def is_users(module) -> bool:
    file = getattr(module, "__file__", None) or ""
    return file != "" and callers.is_users(file)


def file_of_another(name: str) -> str:
    """The user's file that has no more than the library's name; empty if it may be the library.

    Python's own stands in its folder. Every other is a package, no single file.
    """
    name = name.partition(".")[0]
    module = sys.modules.get(name)
    other = is_users(module) and (name in sys.stdlib_module_names or not hasattr(module, "__path__"))
    return module.__file__ if other else ""
