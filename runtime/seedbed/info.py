"""`seedbed info`: what is in force in a Python started like this one, and what breaks the promise."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import seedbed
from seedbed import boot, environment, libraries, process
from seedbed.settings import CALLS, CONTRARY, VARIABLES, Setting
from seedbed.terminal import printable

STATES = {  # a library in the table -> the module whose state is read
    "random": "random",
    "multiprocessing": "multiprocessing.process",
    "subprocess": "subprocess",
    "numpy": "numpy.random",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "jax": "jax",
}
IMAGE = Path("/etc/seedbed/image.json")  # written by the build; not there outside containers
ASK = "import sys; sys.exit('seedbed.boot' not in sys.modules)"


@dataclass(frozen=True)
class Finding:
    """One row: what the mode wants, what there is, and whether the promise holds with it."""

    name: str
    wanted: str
    found: str
    holds: bool
    why: str


def findings(loaded_at_start: bool) -> list[Finding]:
    """Everything the mode wants of the libraries installed here; nothing in mode off. Imports the libraries.

    Where the layer was not loaded when Python started, no call is in force for a script.
    """
    if process.mode == "off":
        return []
    present = installed_libraries()
    variables = [s for s in VARIABLES if s.values[process.mode] and environment.concerns(s, present)]
    calls = [s for s in CALLS if s.values[process.mode] and environment.concerns(s, present)]
    state = states(present) if loaded_at_start else {}
    environment.adjust(os.environ, process.mode, present)  # as the import of a library does
    return [
        *(finding(setting, variable(setting.name), variable_holds) for setting in variables),
        *(finding(setting, state.get(setting.name, "not set"), call_holds) for setting in calls),
        *(Finding(name, "", os.environ[name], False, why) for name, why in CONTRARY.items() if name in os.environ),
        *pythons_without_hook(),
    ]


def pythons_without_hook() -> list[Finding]:
    """What `python` and `python3` are here if they do not load the startup hook; outside an image that is not asked."""
    others = {shutil.which(name): name for name in ("python", "python3")} if IMAGE.exists() else {}
    return [
        Finding(name, "with the startup hook", path, False, "another Python, or a sitecustomize.py hides the hook")
        for path, name in others.items()
        if path and subprocess.run([path, "-c", ASK], capture_output=True, check=False).returncode
    ]


def finding(setting: Setting, found: str, holds) -> Finding:
    words = {**environment.words(os.environ), "seed": str(process.seed())}
    wanted = setting.values[process.mode].format(**words)
    return Finding(setting.name, wanted, found, found == wanted or holds(setting, found), setting.why)


def variable(name: str) -> str:
    """Its value, which for PYTHONHASHSEED is the one that Python started with; empty: not set."""
    if name == "PYTHONHASHSEED":
        return boot.hash_seed if libraries.hash_seed_is_fixed() else "random"
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
    for module in (module for name, module in STATES.items() if name in present):
        state |= import_module(f"seedbed.libraries.{boot.WAITED_FOR[module]}").state(import_module(module))
    return state


def as_json(rows: list[Finding]) -> str:
    document = {
        "seedbed": seedbed.__version__,
        "python": sys.version.split()[0],
        "image": image(),
        "mode": process.mode,
        "seed": process.seed(),
        "rank": environment.rank(os.environ),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "shared_memory": environment.shared_memory(),
        "holds": all(row.holds for row in rows),
        "settings": [asdict(row) for row in rows],
    }
    return json.dumps(document, indent=2)


def as_text(rows: list[Finding]) -> str:
    """The same for a terminal."""
    facts = [("seedbed", seedbed.__version__), ("python", sys.version.split()[0]), ("mode", process.mode)]
    if described := image():
        facts.insert(0, ("image", f"{described.get('name', '?')} {described.get('tag', '?')}"))
    if process.mode != "off":
        facts += [("seed", str(process.seed())), ("threads", os.environ.get("OMP_NUM_THREADS", "not set"))]
    if row := rank_row():
        facts.append(row)
    facts.append(("/dev/shm", shared_memory()))
    return "\n\n".join(part for part in (table(facts), table(settings_table(rows)), verdict(rows)) if part)


def rank_row() -> tuple[str, str] | None:
    """Which rank this is, who says so, and what that does to the seed."""
    rank, source = environment.rank_and_source(os.environ)
    if rank is None or process.mode == "off":
        return None
    added = os.environ.get("SEEDBED_RANK_OFFSET") == "1"
    effect = "added to the seed" if added else "every rank has the same seed; SEEDBED_RANK_OFFSET=1 adds the rank"
    return "rank", f"{rank}, from {source}: {effect}"


def shared_memory() -> str:
    """The size of /dev/shm, through which DataLoader workers send their batches, and what to do if it is small."""
    found = environment.shared_memory()
    if found is None:
        return "none"
    return environment.SHARED_MEMORY_ADVICE if environment.shared_memory_is_small() else f"{found >> 20} MB"


def settings_table(rows: list[Finding]) -> list[tuple[str, ...]]:
    return [("ok" if row.holds else "BROKEN", row.name, row.found or "not set") for row in rows]


def verdict(rows: list[Finding]) -> str:
    """One line for each thing that breaks the promise, or one that says that it holds."""
    if process.mode == "off":
        return "Mode off: nothing is seeded and nothing is promised."
    broken = [row for row in rows if not row.holds]
    if not broken:
        return f"Everything that mode {process.mode} sets is in force."
    return "\n".join(
        f"{row.name} is {row.found or 'not set'}, expected {row.wanted or 'not set'}: {row.why}" for row in broken
    )


def table(rows: list[tuple[str, ...]]) -> str:
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def image() -> dict:
    """What the image says of itself; empty outside an image."""
    return json.loads(IMAGE.read_text()) if IMAGE.exists() else {}
