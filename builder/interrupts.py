"""SIGINT, SIGTERM and SIGHUP end build.py in order: what it has started is ended, and no traceback is printed.

Standard library only, and readable for Python 3.8: build.py asks for it before anything else.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

waiting: list[int] = []  # signals that came while something was in `later`
blocks = 0  # how many things are
nothing_begun = False  # so that a signal ends the process at once: Python drops exceptions in callbacks of its imports
told_by_command = False  # from when on `builder.cli` says that a signal came; before, nobody else does


class Interrupted(SystemExit):
    """A signal came; the exit status is a shell's, 128 and the number of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name


def handle() -> None:
    """Raise `Interrupted` on these signals, but not on one that we were started to ignore, as with nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


@contextmanager
def later() -> Iterator[None]:
    """Signals that come meanwhile are handled afterwards: what is begun here would be left half done.

    A process that is started here never hears of a terminal's Ctrl-C, or of its end: we do, and end it.
    """
    global blocks
    blocks += 1
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        blocks -= 1
        if waiting and not blocks:
            os.kill(os.getpid(), waiting[0])


def interrupt(number: int, frame: FrameType | None) -> None:
    if blocks:
        waiting.append(number)
        return
    # Not imported here: that takes a while, in which no signal is handled yet.
    active_children = getattr(sys.modules.get("multiprocessing"), "active_children", tuple)
    for process in active_children():  # a pool of processes would be waited for until its tasks are done
        process.terminate()
    interrupted = Interrupted(number)
    if not told_by_command:
        with suppress(OSError):
            os.write(2, f"seedbed: interrupted ({interrupted.signal})\n".encode())
        if nothing_begun:
            os._exit(interrupted.code)
    raise interrupted
