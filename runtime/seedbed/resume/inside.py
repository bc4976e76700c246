"""In the training's process: the state that each step began with, and the end after a given step.

The first is a fingerprint of every generator, the optimizer and the model; for the second this process sends itself a
signal as soon as the step is over.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from types import FrameType, ModuleType

from seedbed import callers, process, wrapping
from seedbed.generators import libraries, named
from seedbed.recording.writer import writer
from seedbed.resume import STATES, STOP

GLOBAL = {"random": "python", "numpy": "numpy", "tensorflow": "tensorflow", "keras": "keras"}


def start(name: str, module: ModuleType) -> None:
    """Watch a library that trains, and the number of its steps."""
    if os.environ.get(STATES) == "1":
        import_module(f"seedbed.resume.{name}").watch(module)
    stop_if_asked()


def stop_if_asked() -> None:
    if asked := os.environ.get(STOP):
        wrapping.after(writer, "step", partial(stop_after, *map(int, asked.split(":"))))


def stop_after(step: int, signal: int, *_: object) -> None:
    """Only the first training process of rank 0 stops, with all its steps written; the others end as they may."""
    with writer.lock:
        if writer.steps[""] == step and writer.file().path.name == f"rank{first_rank()}.jsonl":
            while writer.waiting:
                writer.write_next()
            os.kill(os.getpid(), signal)


def first_rank() -> int:
    """The number of the rank that stops: of the only one, whatever a scheduler calls it, or the first."""
    return 0 if (process.world_size() or 1) > 1 else process.rank() or 0


def all_generators() -> dict[str, str]:
    """A fingerprint of each global generator that is loaded, and of those of the script's own, by what they are."""
    found = {}
    for library, name in GLOBAL.items():
        if libraries.is_loaded(library):
            found[name] = digest(libraries.LIBRARIES[library][0]())
    if libraries.is_loaded("torch"):
        found |= of_torch()
    for name, generator in own_generators():
        found[f"own {name}"] = digest(named.save(name, generator)["state"])
    return found


def of_torch() -> dict[str, str]:
    state = libraries.save_torch()
    cuda = {f"cuda:{number}": digest(generator) for number, generator in enumerate(state["cuda"])}
    return {"torch": digest(state["cpu"]), **cuda}


def digest(state: object) -> str:
    """128 bits as hex digits."""
    content = state.numpy().tobytes() if hasattr(state, "numpy") else repr(state).encode()
    return hashlib.sha256(content).hexdigest()[:32]


def own_generators() -> Iterator[tuple[str, object]]:
    """Those that the code which trains has in variables, or in attributes of an object in a variable, by name."""
    seen: set[int] = set()
    for place, variables in users_variables():
        for name, value in list(variables.items()):
            if name.startswith("__"):
                continue
            candidates = {name: value}
            if isinstance(inner := getattr(value, "__dict__", None), dict) and not isinstance(value, ModuleType):
                candidates |= {f"{name}.{part}": held for part, held in list(inner.items())}
            for path, held in candidates.items():
                if id(held) not in seen and named.kind_of(held):
                    seen.add(id(held))
                    yield f"{path} in {place}", held


def users_variables() -> Iterator[tuple[str, dict]]:
    """Of each function of the user's that is running in the main thread, and of the modules that these are in."""
    modules: dict[str, dict] = {}
    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident)
    while frame:
        file = frame.f_code.co_filename
        if callers.is_users(file):
            place = os.path.basename(file)  # noqa: PTH119 - asked at every step
            modules[place] = frame.f_globals
            if frame.f_locals is not frame.f_globals:
                yield place, frame.f_locals
        frame = frame.f_back
    yield from modules.items()
