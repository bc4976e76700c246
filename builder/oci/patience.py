"""Faults that may pass, and how often and how long what met one is tried again."""

import logging
from collections.abc import Callable
from functools import partial, wraps
from threading import Event
from typing import ParamSpec, TypeVar

from urllib3 import Retry
from urllib3.exceptions import HTTPError, InvalidHeader

from builder.errors import SeedbedError

log = logging.getLogger(__name__)

Given, Result = ParamSpec("Given"), TypeVar("Result")

POLICY = Retry(total=6, backoff_factor=0.5, backoff_max=30, backoff_jitter=0.5)
"""Six more tries: at once, then after 1, 2, 4, 8 and 16 seconds, and up to half a second by chance."""

LONGEST_WAIT = 120.0
"""Seconds that are waited at most between all tries of one thing, whatever the other side asks for."""


class Passing(SeedbedError):
    """A fault that may pass. `after`: how many seconds the other side wants to be left alone, if it says so."""

    def __init__(self, problem: str, after: float | None = None, remedy: str = "run the command again later") -> None:
        super().__init__(problem)
        self.after, self.remedy = after, remedy


NEVER = Event()
"""What ends the pauses of those that nobody else ends."""


def patiently(attempt: Callable[[], Result], ended: Event = NEVER) -> Result:
    """What `attempt` returns, tried again after each fault that may pass; raises SeedbedError if that takes too long.

    Each new try is one line of the log. If `ended` is set meanwhile, the last fault is raised.
    """
    retry, waited = POLICY, 0.0
    while True:
        try:
            return attempt()
        except Passing as fault:
            try:
                retry = retry.increment(error=fault)
            except HTTPError:
                raise SeedbedError(f"{fault}, {len(retry.history) + 1} times; {fault.remedy}") from fault
            pause = retry.get_backoff_time() if fault.after is None else fault.after
            if waited + pause > LONGEST_WAIT:
                raise SeedbedError(f"{fault}; run the command again in {pause:.0f} s, not earlier") from fault
            log.info(f"{fault}; trying again in {pause:.0f} s")
            if ended.wait(pause):
                raise
        waited += pause


def patient(attempt: Callable[Given, Result]) -> Callable[Given, Result]:
    """The same function, each call of it made patiently."""

    @wraps(attempt)
    def tried(*arguments: Given.args, **options: Given.kwargs) -> Result:
        return patiently(partial(attempt, *arguments, **options))

    return tried


def seconds_of(retry_after: str | None) -> float | None:
    """What the header Retry-After asks for (RFC 9110, 10.2.3): seconds or a date; None for anything else."""
    try:
        return POLICY.parse_retry_after(retry_after) if retry_after else None
    except (InvalidHeader, ValueError, OverflowError):
        return None
