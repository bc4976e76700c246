"""What is in force of all that the mode wants, and what was undone: for `seedbed info`, and for the audit at exit."""

import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from importlib import import_module, metadata

from seedbed import environment, libraries, lineage, process
from seedbed.settings import CALLS, CONTRARY, VARIABLES, Setting

OFF = ("", "0", "false")  # values of a variable by which it asks for nothing
STATES = {  # a library in the table -> the module of it whose state is read
    "random": "random",
    "multiprocessing": "multiprocessing.process",
    "subprocess": "subprocess",
    "numpy": "numpy.random",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "jax": "jax",
}


@dataclass(frozen=True)
class Finding:
    """One row: what the mode wants, what there is, and whether the promise holds with it."""

    name: str
    wanted: str
    found: str
    holds: bool
    why: str


def findings(loaded_at_start: bool) -> list[Finding]:
    """Everything the mode, which is not off, wants of the libraries installed here. Imports the libraries.

    Where the startup hook was not loaded when Python started, no call is in force for a script.
    """
    present = installed_libraries()
    variables, calls = ([s for s in table if concerns(s, present)] for table in (VARIABLES, CALLS))
    state = states(present) if loaded_at_start else {}
    environment.adjust(os.environ, process.mode, present)  # as the import of a library does
    return [
        *(finding(setting, variable(setting.name), variable_holds) for setting in variables),
        *(finding(setting, state.get(setting.name, "not set"), call_holds) for setting in calls),
        *(
            Finding(name, "", os.environ[name], False, why)
            for name, (why, until) in CONTRARY.items()
            if os.environ.get(name, "").lower() not in OFF and not (until and is_at_least("torch", until))
        ),
    ]


def concerns(setting: Setting, present: tuple[str, ...]) -> bool:
    """Whether the mode sets it, for a library that is installed here in a version that knows it."""
    if not setting.values[process.mode] or not environment.concerns(setting, present):
        return False
    return not setting.since or any(is_at_least(name, setting.since) for name in setting.libraries if name in present)


def is_at_least(library: str, version: str) -> bool:
    """Whether the library is of this version or a newer one, by the package's own word; so is one that has none."""
    try:
        found = metadata.version(library)
    except metadata.PackageNotFoundError:
        return True
    return numbers(found) >= numbers(version)


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", version)[:2]]


def finding(setting: Setting, found: str, holds) -> Finding:
    words = {**environment.words(os.environ), "seed": str(process.seed())}
    wanted = setting.values[process.mode].format(**words)
    return Finding(setting.name, wanted, found, found == wanted or holds(setting, found), setting.why)


def variable(name: str) -> str:
    """Its value, which for PYTHONHASHSEED is the one that Python started with; empty: not set."""
    if name == "PYTHONHASHSEED":
        return lineage.hash_seed if libraries.hash_seed_is_fixed() else "random"
    return os.environ.get(name, "")


def variable_holds(setting: Setting, found: str) -> bool:
    """Whether a value of the user's own keeps the promise too."""
    wanted = setting.values[process.mode]
    return environment.is_number(found) if "{" in wanted else found in setting.legal or wanted in found.split()


def call_holds(setting: Setting, found: str) -> bool:
    return found in setting.legal


def undone() -> list[Finding]:
    """The flags that the libraries imported so far no longer have as they were set (seeds are used up by then)."""
    imported = tuple(name for name, module in STATES.items() if module in sys.modules)
    state = states(imported)
    flags = [s for s in CALLS if s.name in state and "{seed}" not in (s.values[process.mode] or "{seed}")]
    return [row for row in (finding(s, state[s.name], call_holds) for s in flags) if not row.holds]


def installed_libraries() -> tuple[str, ...]:
    return tuple(name for name in STATES if importlib.util.find_spec(name))


def states(present: tuple[str, ...]) -> dict[str, str]:
    """What these libraries say of themselves, by the names of the table; they are imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    state: dict[str, str] = {}
    for name, module in ((name, module) for name, module in STATES.items() if name in present):
        state |= import_module(f"seedbed.libraries.{name}").state(import_module(module))
    return state
