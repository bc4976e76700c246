"""`multiprocessing`: every process it starts afresh is told its lineage, before anything is imported there.

Forked children learn theirs in `seedbed.boot`. This serves spawn, the fork server and loky (joblib) alike.
"""

import os
import threading
from types import ModuleType

from seedbed import lineage, process
from seedbed.libraries import pools
from seedbed.wrapping import around

starting = threading.RLock()  # held while the environment holds the lineage of a child


def configure(multiprocessing_process: ModuleType) -> None:
    """Children inherit the environment, so it holds the lineage while one starts."""

    def start_with_lineage(start, self):
        with starting:
            lineage.starts_worker = "w" if is_worker(self) else ""
            os.environ[lineage.VARIABLE] = f"{lineage.place()}/{lineage.starts_worker}s{process.count('spawn')}"
            try:
                start(self)
            finally:
                lineage.starts_worker = ""
                os.environ.pop(lineage.VARIABLE, None)

    around(multiprocessing_process.BaseProcess, "start", start_with_lineage)


def is_worker(child: object) -> bool:
    """Whether a pool starts the process."""
    return getattr(getattr(child, "_target", None), "__module__", None) in (*pools.POOLS, "torch.multiprocessing.pool")


def _forget_lock() -> None:
    """A forked child is started while its parent holds the lock."""
    global starting
    starting = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)


def state(multiprocessing_process: ModuleType) -> dict[str, str]:
    from multiprocessing.pool import Pool

    calls = {"Process.start": multiprocessing_process.BaseProcess.start, "Pool": Pool.__init__}
    return {
        f"multiprocessing.{name}": "derived from the seed" if hasattr(call, "__wrapped__") else "random"
        for name, call in calls.items()
    }
