"""Locks in the folder of a sweep, which hold over all machines that share the folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".lock-"
SECONDS_TO_WAIT = 5  # for another sweep in the same folder: one that was just killed takes a moment to go


@contextmanager
def locked(folder: Path, what: str = "another sweep", *, shared: bool = False, seconds: int = 0) -> Iterator[None]:
    """Nobody else is at this, or only those that share it. ValueError: somebody is, even after some seconds."""
    name = PREFIX + what.replace(" ", "-")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / name, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise ValueError(f"{folder}: cannot contain a sweep: {error.strerror}") from error
    try:
        for wait in range((seconds or SECONDS_TO_WAIT) * 10, -1, -1):
            try:
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not wait:
                    raise ValueError(f"{folder}: {what} is running here") from None
                time.sleep(0.1)
            except OSError as error:
                raise ValueError(f"{folder}: cannot be locked ({error.strerror}): name another --output") from error
        yield
    finally:
        os.close(file)
