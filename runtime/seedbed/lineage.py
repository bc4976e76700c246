"""Where this process stands in the tree of processes, and each of its threads in it.

Loaded at the start of every Python, so it imports nothing but os.
"""

import os

VARIABLE = "SEEDBED_LINEAGE"  # what a parent hands to a child that it starts: users never see it

# Each step down from the process started by hand: "/s2" the second process it spawned, "/f3" its third fork,
# "/x2" the second of equal programs that it started at the same time; "/ws2" and "/wf3" are workers of pools.
path = os.environ.pop(VARIABLE, "")
task = ""  # that of a process pool which this worker is at, whichever worker it is: where its pool was, and its name
thread = None  # once a pool of threads has had a task: has the task of each thread, or None (libraries/threads.py)
starts_worker = ""  # "w" while a pool starts one
hash_seed = os.environ.get("PYTHONHASHSEED", "random")  # as Python found it
_forks = 0


def place() -> str:
    """Where this process, or the task that it or this thread is at, stands in the tree of processes."""
    at = _thread_task()
    return at.place if at else task or path


def common_place() -> str:
    """The same, but that of all workers of a pool until they have a task: who is which worker is a race."""
    above, _, last = place().rpartition("/")
    return f"{above}/w" if last[:1] == "w" else place()


def is_program() -> bool:
    """Whether this process was started as a program of its own, and not by multiprocessing or a fork."""
    return path.rpartition("/")[2][:1] in ("x", "")


def _thread_task():
    return getattr(thread, "task", None)


def _count_fork() -> None:
    global _forks
    if at := _thread_task():
        at.forks += 1
    else:
        _forks += 1


def _become_child() -> None:
    global path, task, starts_worker, _forks
    at = _thread_task()
    forks = at.forks if at else _forks
    path, task, starts_worker, _forks = f"{place()}/{starts_worker}f{forks}", "", "", 0
    if thread is not None:
        thread.__dict__.clear()
    os.environ.pop(VARIABLE, None)


os.register_at_fork(before=_count_fork, after_in_child=_become_child)
