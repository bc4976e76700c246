"""Programs that run the user's code: notebooks, debuggers, profilers, test runners.

They draw random numbers of their own, some as often as timing has it. Everything is seeded again right before the first
of the user's code runs, so that the user's first draw is the seed's first number.
"""

import os
import sys

from seedbed import callers, lineage

CELLS = "<ipython-input"  # how IPython names what is typed, or given with -c
CUSTOMIZERS = ("sitecustomize.py", "usercustomize.py")

_waiting = False
_program = ""


def start(program: str) -> None:
    """Wait for the user's first code. `program`: the script that was started, or "-m"."""
    global _waiting, _program
    _waiting, _program = True, os.path.abspath(program)  # noqa: PTH100 - pathlib takes long to import
    sys.addaudithook(notice)


def notice(event: str, arguments: tuple) -> None:
    """An audit hook, which nothing can take away: every `exec` of a code object passes here, those of imports too."""
    global _waiting
    if _waiting and event == "exec" and is_users(getattr(arguments[0], "co_filename", "<")):
        _waiting = False
        process = sys.modules.get("seedbed.process")  # not there: nothing has been seeded yet
        if process and not lineage.task:
            process.start_over()


def is_users(file: str) -> bool:
    if file.startswith("<"):
        return file.startswith(CELLS)
    file = os.path.abspath(file)  # noqa: PTH100
    if file == _program or file.endswith(CUSTOMIZERS):
        return False
    return callers.is_users(file)
