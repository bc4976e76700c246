"""How a command ended that did not end well, and what it said last."""

import re
import signal
from pathlib import Path

SAID_LAST = 3  # lines
CRASH_SIGNALS = {signal.SIGKILL: " (out of memory?)", signal.SIGBUS: " (too little shared memory? see --shm-size)"}
TAKEN = re.compile(  # what somebody says who finds a port, a file or a lock taken
    r"address already in use|EADDRINUSE|FileExistsError|File exists|already exists|is locked|\block\b.*(held|acquire)"
    r"|Resource temporarily unavailable",
    re.IGNORECASE,
)
SIDE_BY_SIDE = "runs side by side draw the same random port or name: use --parallel 1"


def ending(status: int) -> str:
    """`ended with status 1`, or which signal killed it (a negative status)."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"was killed by signal {-status}"
    return f"was killed by {number.name}{CRASH_SIGNALS.get(number, '')}"


def last_words(file: Path, count: int = 1) -> str:
    """The last lines that it wrote to its standard error, without a traceback's arrows; `nothing` if there are none."""
    try:
        lines = [line.rstrip() for line in file.read_text(errors="replace").splitlines() if line.strip(" ^~")]
    except OSError:
        lines = []
    return "\n".join(lines[-count:]) or "nothing"


def remedy(words: str, parallel: int) -> str:
    """What helps against runs that take from one another what only one can have; empty if that is not the reason."""
    return SIDE_BY_SIDE if parallel > 1 and TAKEN.search(words) else ""
