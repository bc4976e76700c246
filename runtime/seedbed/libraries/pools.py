"""Process pools, of multiprocessing, concurrent.futures and joblib: tasks are seeded by their number.

Pools of threads stay as they are: their tasks share the generators of the process.
"""

import functools
from collections.abc import Callable
from types import ModuleType

from seedbed import process, tasks  # its names are looked up late: unpickling a task may be what imports us


def configure(module: ModuleType) -> None:
    POOLS[module.__name__](module)


def number_pool(pool: ModuleType) -> None:
    """A pool has a thread of its own that puts tasks into the workers' queue, those of torch and joblib too."""
    handle_tasks = pool.Pool._handle_tasks

    def handle_numbered(taskqueue, put, outqueue, *others):
        between_processes = hasattr(outqueue, "_writer")
        return handle_tasks(taskqueue, numbered(put) if between_processes else put, outqueue, *others)

    pool.Pool._handle_tasks = staticmethod(handle_numbered)


def numbered(put: Callable) -> Callable:
    """`put` with the function in each task replaced; None, which is no task, ends a worker."""
    pool = process.count("pool")
    calls, latest = 0, None

    def put_task(task: tuple | None) -> None:
        nonlocal calls, latest
        if task is not None:
            call, index, function, *others = task
            calls, latest = calls + (call != latest), call  # Python counts the calls of all pools together
            task = call, index, tasks.Task(function, f"p{pool}.{calls}.{index}"), *others
        put(task)

    return put_task


def number_executor(futures: ModuleType) -> None:
    submit = futures.ProcessPoolExecutor.submit

    @functools.wraps(submit)
    def submit_numbered(self, fn, /, *args, **kwargs):
        return submit(self, tasks.Task(fn, f"e{process.count('executor')}"), *args, **kwargs)

    futures.ProcessPoolExecutor.submit = submit_numbered


def number_joblib(backends: ModuleType) -> None:
    """joblib sends calls in batches, whose size depends on how fast they were, so each call in them has a number."""
    for name in {"submit", "apply_async"} & vars(backends.LokyBackend).keys():  # the one, or the other until 1.4
        send = getattr(backends.LokyBackend, name)

        @functools.wraps(send)
        def send_numbered(self, func, callback=None, send=send):
            func.items = [
                (tasks.Task(function, f"j{process.count('joblib')}"), *arguments) for function, *arguments in func.items
            ]
            return send(self, func, callback)

        setattr(backends.LokyBackend, name, send_numbered)


POOLS = {
    "multiprocessing.pool": number_pool,
    "concurrent.futures.process": number_executor,
    "joblib._parallel_backends": number_joblib,
}


def state(module: ModuleType) -> dict[str, str]:
    """Nothing: `seedbed.libraries.multiprocessing` answers for all."""
    return {}
