"""joblib: its calls have numbers, whatever backend runs them, and its workers share the CPUs.

joblib sends calls in batches, whose size depends on how fast they were, and all but the first from a thread of the
backend's; so each call has a number, counted from where the backend was made ready.
"""

from __future__ import annotations  # `tasks` may be half imported: see below

import copyreg
import functools
import os
from types import ModuleType

from seedbed import environment, process
from seedbed.libraries import tasks
from seedbed.wrapping import around, before


def configure(backends: ModuleType) -> None:
    processes, threads = tasks.Task, tasks.ThreadTask
    for name, kind in (
        ("LokyBackend", processes),
        ("MultiprocessingBackend", processes),
        ("ThreadingBackend", threads),
    ):
        if hasattr(backends, name):
            number_backend(getattr(backends, name), kind)
    if hasattr(backends, "ParallelBackendBase"):
        share_cpus(backends)
        copyreg.pickle(type(os.environ), own_environment)


def number_backend(backend: type, kind: type[tasks.Task]) -> None:
    if hasattr(backend, "configure"):
        before(backend, "configure", remember_where)
    for name in {"submit", "apply_async"} & set(dir(backend)):  # the one, or the other until 1.4
        around(backend, name, functools.partial(send_numbered, kind))


def remember_where(backend, *_: object, **__: object) -> None:
    backend._seedbed_here = process.Here()


def send_numbered(kind: type[tasks.Task], send, self, func, callback=None):
    here = getattr(self, "_seedbed_here", None) or process.Here()
    func.items = [(kind(call, f"j{here.count('joblib')}", here), *arguments) for call, *arguments in func.items]
    return send(self, func, callback)


def share_cpus(backends: ModuleType) -> None:
    """joblib divides the CPUs among its workers unless OMP_NUM_THREADS is set: it does so too if the value is ours."""

    def prepare_worker_env(prepare, self, n_jobs):
        environ = prepare(self, n_jobs)
        if getattr(self, "inner_max_num_threads", None) is None and environment.threads_are_ours(os.environ):
            environ["OMP_NUM_THREADS"] = str(max(1, backends.cpu_count() // n_jobs))
        return environ

    around(backends.ParallelBackendBase, "_prepare_worker_env", prepare_worker_env)


def own_environment(environ: os._Environ) -> tuple:
    """`os.environ` sent to a worker is the worker's there: a copy would hold its parent's number of threads."""
    return (getattr, (os, "environ")) if environ is os.environ else (dict, (dict(environ),))
