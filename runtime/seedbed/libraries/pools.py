"""Pools of processes and threads, of multiprocessing and its forks, and of concurrent.futures: tasks have numbers.

A pool of one thread stays as it is, since its tasks follow one another; what else the program draws at the same time
may race with them, as it does without a pool.
"""

from __future__ import annotations  # `tasks` may be half imported: see below

from collections.abc import Iterable, Iterator
from types import ModuleType

from seedbed import process
from seedbed.libraries import tasks  # its names are looked up late: unpickling a task may be what imports us
from seedbed.wrapping import after, around, before


def configure(module: ModuleType) -> None:
    POOLS[module.__name__](module)


def number_pool(module: ModuleType) -> None:
    """Of multiprocessing, multiprocess or billiard, and what is derived from them, such as torch's and joblib's."""
    number_threads(module.ThreadPool)

    def start_numbered(start, self, *args, **kwargs):
        name = f"p{process.count('pool')}"
        start(self, *args, **kwargs)
        if not isinstance(self, module.ThreadPool):
            self._taskqueue = TaskQueue(self._taskqueue, name, tasks.Task)
        elif len(self._pool) > 1:
            self._taskqueue = TaskQueue(self._taskqueue, name, tasks.ThreadTask)

    around(module.Pool, "__init__", start_numbered)


def number_threads(thread_pool: type) -> None:
    """The initializer of a pool of several threads runs at a place of its own, and not in a race for the generators."""

    def start_initialized(start, self, processes=None, initializer=None, initargs=()):
        if initializer is not None and processes != 1:
            initializer = tasks.ThreadInitializer(initializer, f"i{process.count('initializer')}")
        start(self, processes, initializer, initargs)

    around(thread_pool, "__init__", start_initialized)


class TaskQueue:
    """The queue between a pool and the thread of its own that hands tasks to workers; each call of the pool puts one
    iterable of tasks. Numbers a task by the call, counted where the call is made, and by its index in it.
    """

    def __init__(self, queue: object, name: str, kind: type[tasks.Task]) -> None:
        self.queue = queue
        self.name = name
        self.kind = kind
        if kind is tasks.ThreadTask:
            from seedbed.libraries import threads

            threads.install()

    def __getattr__(self, name: str):
        return getattr(self.queue, name)

    def put(self, call: tuple | None) -> None:
        if call is not None:
            todo, *others = call
            here = process.Here()
            call = self.numbered(todo, f"{self.name}.{here.count(self.name)}", here), *others
        self.queue.put(call)

    def numbered(self, todo: Iterable[tuple], call: str, here: process.Here) -> Iterator[tuple]:
        """The tasks with their functions replaced; billiard's have a head, `(TASK, task)`."""
        for index, task in enumerate(todo):
            head, task = ((task[0],), task[1]) if isinstance(task[1], tuple) else ((), task)
            job, number, function, *others = task
            task = job, number, self.kind(function, f"{call}.{index}", here), *others
            yield (*head, task) if head else task


def number_executor(module: ModuleType) -> None:
    """concurrent.futures.ProcessPoolExecutor, or loky's."""
    executor = module.ProcessPoolExecutor

    def submit_numbered(submit, self, fn, /, *args, **kwargs):
        return submit(self, tasks.Task(fn, number_in(self, "e")), *args, **kwargs)

    around(executor, "submit", submit_numbered)
    name_at_start(executor, "e")


def number_thread_executor(module: ModuleType) -> None:
    """concurrent.futures.ThreadPoolExecutor, which asyncio and dask's threads use too."""
    executor = module.ThreadPoolExecutor

    def submit_numbered(submit, self, fn, /, *args, **kwargs):
        if self._max_workers > 1:
            fn = tasks.ThreadTask(fn, number_in(self, "t"))
        return submit(self, fn, *args, **kwargs)

    def divide_initializer(_: None, self, *__: object, **___: object) -> None:
        if self._max_workers > 1 and getattr(self, "_initializer", None) is not None:
            self._initializer = tasks.ThreadInitializer(self._initializer, f"i{process.count('initializer')}")

    around(executor, "submit", submit_numbered)
    name_at_start(executor, "t")
    after(executor, "__init__", divide_initializer)


def name_at_start(pool: type, letter: str) -> None:
    """Each pool has a number in the order in which they are made, not in that of their first tasks."""

    def name(self, *_: object, **__: object) -> None:
        self._seedbed_name = f"{letter}{process.count(letter)}"

    before(pool, "__init__", name)


def number_in(pool: object, letter: str) -> str:
    """The next number in a pool, counted where the task is submitted."""
    name = getattr(pool, "_seedbed_name", letter)
    return f"{name}.{process.count(name)}"


POOLS = {
    "multiprocessing.pool": number_pool,
    "multiprocess.pool": number_pool,
    "billiard.pool": number_pool,
    "concurrent.futures.process": number_executor,
    "concurrent.futures.thread": number_thread_executor,
    "loky.process_executor": number_executor,
    "joblib.externals.loky.process_executor": number_executor,
}
