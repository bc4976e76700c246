"""`multiprocessing`: every process it starts afresh is told its lineage, before anything is imported there.

Forked children learn theirs in `seedbed.boot`. This serves spawn, the fork server and loky (joblib) alike.
"""

import os
from types import ModuleType

from seedbed import boot, process


def configure(multiprocessing_process: ModuleType) -> None:
    """Children inherit the environment, so it holds the lineage while one starts (start no two at the same moment)."""
    start = multiprocessing_process.BaseProcess.start

    def start_with_lineage(self):
        os.environ[boot.LINEAGE_VARIABLE] = f"{boot.place()}/s{process.count('spawn')}"
        try:
            start(self)
        finally:
            os.environ.pop(boot.LINEAGE_VARIABLE, None)

    start_with_lineage.__doc__ = start.__doc__
    multiprocessing_process.BaseProcess.start = start_with_lineage


def state(multiprocessing_process: ModuleType) -> dict[str, str]:
    """What is in force, in the table's words."""
    from multiprocessing.pool import Pool

    start, handle_tasks = multiprocessing_process.BaseProcess.start, Pool._handle_tasks
    return {
        "multiprocessing.Process.start": "derived from the seed" if start.__module__ == __name__ else "random",
        "multiprocessing.Pool": "derived from the seed" if "seedbed" in handle_tasks.__module__ else "random",
    }
