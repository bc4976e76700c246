"""Runs at the start of every Python process, before any user code: a `.pth` line or sitecustomize imports it.

It leaves a finder behind that has each library configured the moment it is imported, and does nothing more: a process
that needs no library pays for this one file and not even for `import random`.
"""

import os
import sys

LINEAGE_VARIABLE = "SEEDBED_LINEAGE"  # set by a parent for the moment in which it spawns: users never see it
WAITED_FOR = {  # the module waited for -> the one in seedbed.libraries that configures it
    "random": "random",
    "tempfile": "tempfile",
    "multiprocessing.process": "multiprocessing",
    "multiprocessing.pool": "pools",
    "concurrent.futures.process": "pools",
    "joblib._parallel_backends": "pools",
    "numpy": None,  # only its variables: its threads start here, its generators come with numpy.random
    "numpy.random": "numpy",
    "ale_py": "native",
    "ctranslate2": "native",
    "cv2": "native",
    "duckdb": "native",
    "leidenalg": "native",
    "numba": "native",
    "nutpie": "native",
    "onnxruntime": "native",
    "polars": "native",
    "pyarrow.compute": "native",
    "qiskit_aer": "native",
    "rustworkx": "native",
    "sentencepiece": "native",
    "sqlite3": "native",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "jax": "jax",
    "keras": None,  # nothing to set: only watched
}
EX_CONFIG = 78  # sysexits.h

off = os.environ.get("SEEDBED_MODE") == "off"
hash_seed = os.environ.get("PYTHONHASHSEED", "random")  # as Python found it
# Each step down from the process started by hand: "/s2" the second process it spawned, "/f3" its third fork.
lineage = os.environ.pop(LINEAGE_VARIABLE, "")
task = ""  # that of a process pool which this worker is at, whichever worker it is: where its pool was, and its name
watchers = []  # each is called with the name and the module when one of these libraries is ready
_forks = 0


def start() -> None:
    """Wait for the libraries; in mode off, take back what the image has set, and wait only if somebody watches."""
    if os.environ.get("SEEDBED_RECORD"):
        from seedbed import recording

        recording.start()
    if os.environ.get("SEEDBED_TRACE"):
        from seedbed import trace

        trace.start()
    if off:
        from seedbed import environment

        environment.adjust(os.environ, "off")
        if not watchers:
            return
    elif os.environ.get("SEEDBED_AUDIT") == "1":
        from seedbed import audit

        audit.start()
    os.register_at_fork(before=_count_fork, after_in_child=_become_child)
    sys.meta_path.insert(0, Finder())
    for name in [name for name in WAITED_FOR if name in sys.modules]:
        _prepare(name)
        _configure(name, sys.modules[name])


def place() -> str:
    """Where this process, or the task it is at, stands in the tree of processes."""
    return task or lineage


def say(message: str) -> None:
    """One line on stderr."""
    print(f"seedbed: {message}", file=sys.stderr, flush=True)


class Finder:
    """Finds a library as Python would, and has it configured once it has run.

    Only `exec_module` of that one loader is replaced: loaders keep their type (inspect, importlib.resources).
    """

    def find_spec(self, name, path=None, target=None):
        if name not in WAITED_FOR:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            _configure_after(spec.loader, name)
        return spec


def _configure_after(loader, name: str) -> None:
    def exec_module(module) -> None:
        loader.__dict__.pop("exec_module", None)
        _prepare(name)
        loader.exec_module(module)
        _configure(name, module)

    loader.exec_module = exec_module


def _prepare(name: str) -> None:
    """Before the library runs: what it reads from the environment."""
    if off:
        return
    try:
        from seedbed import libraries

        libraries.prepare(name)
    except Exception as error:
        _fail(f"cannot prepare for {name}", error)


def _configure(name: str, module) -> None:
    """After the library has run, before the code that imported it goes on."""
    try:
        from seedbed import libraries

        if WAITED_FOR[name] and not off:
            libraries.configure(WAITED_FOR[name], module)
        for watch in watchers:
            watch(name, module)
    except Exception as error:
        _fail(f"cannot configure {name}", error)


def _fail(what: str, error: Exception) -> None:
    """Say so and, unless the mode is warn, end the process: a bare `except:` would swallow an exception."""
    say(f"{what}: {error}")
    if os.environ.get("SEEDBED_MODE") != "warn":
        sys.stdout.flush()
        os._exit(EX_CONFIG)


def _count_fork() -> None:
    global _forks
    _forks += 1


def _become_child() -> None:
    global lineage, task, _forks
    lineage, task, _forks = f"{place()}/f{_forks}", "", 0
    os.environ.pop(LINEAGE_VARIABLE, None)


try:
    start()
except Exception as error:  # Python would print it and go on, unseeded
    _fail("cannot prepare this Python", error)
