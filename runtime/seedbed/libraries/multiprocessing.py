"""`multiprocessing`: every process it starts afresh is told its lineage, before anything is imported there.

Forked children learn theirs in `seedbed.boot`. This serves spawn, the fork server and loky (joblib) alike.
"""

import os
import threading
from types import ModuleType

from seedbed import lineage, process
from seedbed.libraries import pools

starting = threading.RLock()  # held while the environment holds the lineage of a child


def configure(multiprocessing_process: ModuleType) -> None:
    """Children inherit the environment, so it holds the lineage while one starts."""
    start = multiprocessing_process.BaseProcess.start

    def start_with_lineage(self):
        with starting:
            lineage.starts_worker = "w" if is_worker(self) else ""
            os.environ[lineage.VARIABLE] = f"{lineage.place()}/{lineage.starts_worker}s{process.count('spawn')}"
            try:
                start(self)
            finally:
                lineage.starts_worker = ""
                os.environ.pop(lineage.VARIABLE, None)

    start_with_lineage.__doc__ = start.__doc__
    multiprocessing_process.BaseProcess.start = start_with_lineage


def is_worker(child: object) -> bool:
    """Whether a pool starts the process."""
    return getattr(getattr(child, "_target", None), "__module__", None) in (*pools.POOLS, "torch.multiprocessing.pool")


def _forget_lock() -> None:
    """A forked child is started while its parent holds the lock."""
    global starting
    starting = threading.RLock()


os.register_at_fork(after_in_child=_forget_lock)


def state(multiprocessing_process: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words."""
    from multiprocessing.pool import Pool

    start = multiprocessing_process.BaseProcess.start
    return {
        "multiprocessing.Process.start": "derived from the seed" if start.__module__ == __name__ else "random",
        "multiprocessing.Pool": "derived from the seed" if hasattr(Pool.__init__, "__wrapped__") else "random",
    }
