"""A command that runs as if it were this process: it has the same terminal, and gets the signals that this one gets."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HANDED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # reach the command by themselves


@contextmanager
def handed_on(process: subprocess.Popen) -> Iterator[None]:
    """Until its end is seen, this process gets none of them itself."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in FROM_THE_TERMINAL}
    for number in HANDED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:  # the command ignores it, too
            before[number] = signal.signal(number, lambda number, _: process.send_signal(number))
    try:
        yield
        process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
