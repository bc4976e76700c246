"""The steps of this process, as they become known, into a file of its own.

Each thread that trains counts its own steps: which thread comes first would otherwise decide over the numbers.
"""

import atexit
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from pathlib import Path

from seedbed import lineage, process, recording, terminal
from seedbed.observe.harmless import harmless
from seedbed.observe.lines import Lines, first_new
from seedbed.recording import facts

Waiting = tuple[str, int, Callable[[], dict], Callable[[], bool]]  # a step: thread, number, `line` and `ready`


class Writer:
    """Makes the file with the first step: most processes take none. Any thread may call it."""

    def __init__(self) -> None:
        self.lines: Lines | None = None
        self.described: list[Callable[[], dict]] = []  # what libraries add to the facts
        self.on_exit: list[Callable[[], None]] = []  # a step that was not over
        self.begin()
        os.register_at_fork(after_in_child=self.begin)
        atexit.register(lambda: harmless(self.finish)())

    def begin(self) -> None:
        """A process has nothing yet; a forked child has nothing of its own, and may have been forked by any thread."""
        self.lock = threading.RLock()
        if self.lines:
            self.lines.close()
        self.lines = None
        self.steps: Counter[str] = Counter()  # by thread
        self.waiting: deque[Waiting] = deque()

    def step(self, line: Callable[[], dict], thread: str = "", ready: Callable[[], bool] = lambda: True) -> None:
        """Number a step, and write its line as soon as that is `ready` without waiting for a GPU.

        `thread`: see `thread_name`.
        """
        with self.lock:
            self.steps[thread] += 1
            self.waiting.append((thread, self.steps[thread], line, ready))
            while self.waiting and self.waiting[0][-1]():
                self.write_next()

    def epoch(self, number: int, metrics: dict[str, float], thread: str = "") -> None:
        """What the library itself says at the end of an epoch."""
        exact = {name: float(value).hex() for name, value in metrics.items()}
        with self.lock:
            self.file().write({"epoch": number, **in_thread(thread), "metrics": exact})

    def finish(self) -> None:
        """Write what is left. Not reached where the process is killed: then the file has no last line."""
        for last in self.on_exit:
            harmless(last)()
        with self.lock:
            while self.waiting:
                self.write_next()
            if self.lines:
                self.lines.write({"end": {"steps": self.steps.total()}})
                self.begin()

    def write_next(self) -> None:
        thread, number, line, _ = self.waiting.popleft()
        self.file().write({"step": number, **in_thread(thread), **line()})

    def file(self) -> Lines:
        if self.lines is None:
            self.lines = new_file(Path(os.environ[recording.FOLDER]), rank := process.rank() or 0)
            extra = {name: value for describe in self.described for name, value in describe().items()}
            self.lines.write({"run": {**facts.of_process(), "rank": rank, **extra}})
            if lineage.path and "multiprocessing.util" in sys.modules:  # its children end without atexit
                sys.modules["multiprocessing.util"].Finalize(None, harmless(self.finish), exitpriority=0)
        return self.lines


def new_file(folder: Path, rank: int) -> Lines:
    """`rank0.jsonl`, or `rank0.2.jsonl` for the second process of that rank, and so on; or none at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return first_new(folder / (f"rank{rank}.jsonl" if n == 1 else f"rank{rank}.{n}.jsonl") for n in count(1))
    except OSError as error:
        terminal.log(f"the record cannot be written: {error}")
    return Nowhere()


class Nowhere(Lines):
    """In the place of a file that cannot be made: the training goes on."""

    def __init__(self) -> None:
        self.path, self.descriptor = Path(os.devnull), -1

    def write(self, line: dict) -> None:
        pass


def in_thread(name: str) -> dict[str, str]:
    """What a line says of a thread other than the main one."""
    return {"thread": name} if name else {}


def thread_name() -> str:
    """Of the calling thread: empty for the main thread; for others their name, which counts them as they are made."""
    current = threading.current_thread()
    return "" if current is threading.main_thread() else current.name


writer = Writer()
