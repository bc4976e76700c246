"""Starts the commands that are watched."""

import ctypes
import signal
import subprocess
import sys

from seedbed import disclosure, leftovers, lineage

ERRORS, NATIVE = "errors.txt", "native.txt"  # beside what its processes write: standard error, native generators
AS_BY_HAND = {lineage.VARIABLE: ""}  # each as if it were the first: runs side by side have the same seeds
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def start(command: list[str], environ: dict[str, str], **options) -> subprocess.Popen:
    """It dies with the thread that called. KeyboardInterrupt: this command of Seedbed's has to end.

    `options` are those of Popen.
    """
    if leftovers.ending:
        raise KeyboardInterrupt
    return subprocess.Popen(command, env=disclosure.with_key(environ), preexec_fn=die_with_parent, **options)


if sys.platform == "linux":
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

else:
    die_with_parent = None
