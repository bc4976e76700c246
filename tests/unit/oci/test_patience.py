"""Faults that may pass are borne for a while, and not for longer."""

import logging
from email.utils import formatdate
from threading import Event
from time import time

import pytest

from builder.errors import SeedbedError
from builder.oci import patience
from builder.oci.patience import LONGEST_WAIT, POLICY, Passing, patiently, seconds_of


@pytest.fixture(autouse=True)
def slept(monkeypatch) -> list[float]:
    """The pauses that were made, and none is."""
    pauses: list[float] = []
    monkeypatch.setattr(patience.NEVER, "wait", pauses.append)
    return pauses


def failing(times: int, after: float | None = None):
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise Passing("the place: no answer", after)
        return "done"

    return attempt


@pytest.mark.parametrize("times", [0, 1, 6])
def test_what_passes_is_borne_with_a_line_for_each_new_try(slept, caplog, times):
    with caplog.at_level(logging.INFO, "builder"):
        assert patiently(failing(times)) == "done"
    assert len(caplog.messages) == len(slept) == times
    assert all(line.startswith("the place: no answer; trying again in ") for line in caplog.messages)


def test_each_pause_is_twice_as_long_and_a_little_by_chance(slept):
    patiently(failing(6))
    for pause, least in zip(slept, (0, 1, 2, 4, 8, 16), strict=True):
        assert least <= pause <= least + POLICY.backoff_jitter
    patiently(failing(6))
    assert slept[:6] != slept[6:], "two clients never come back in step"


def test_what_does_not_pass_ends_with_one_line_that_says_what_to_do(slept):
    with pytest.raises(SeedbedError, match=r"^the place: no answer, 7 times; run the command again later$") as failed:
        patiently(failing(7))
    assert not isinstance(failed.value, Passing)
    assert sum(slept) <= LONGEST_WAIT


def test_other_errors_are_not_tried_again(slept):
    def attempt() -> None:
        raise SeedbedError("refused")

    with pytest.raises(SeedbedError, match=r"^refused$"):
        patiently(attempt)
    assert slept == []


def test_the_other_side_is_left_alone_for_as_long_as_it_asks(slept):
    patiently(failing(3, after=7))
    assert slept == [7, 7, 7]


def test_whoever_waits_stops_once_all_is_over():
    ended = Event()
    ended.set()
    with pytest.raises(SeedbedError, match=r"^the place: no answer$"):
        patiently(failing(1, after=60), ended)


@pytest.mark.parametrize(("after", "pauses"), [(3600, 0), (50, 2)])
def test_but_not_for_longer_than_two_minutes_in_all(slept, after, pauses):
    with pytest.raises(SeedbedError, match=rf"^the place: no answer; run the command again in {after} s, not earlier$"):
        patiently(failing(6, after))
    assert len(slept) == pauses


def test_retry_after_is_seconds_or_a_date():
    assert (seconds_of("7"), seconds_of("0")) == (7, 0)
    assert seconds_of(formatdate(time() + 1000, usegmt=True)) == pytest.approx(1000, abs=60)


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.5", "٣", "9" * 5000])
def test_what_is_neither_is_ignored(header):
    assert seconds_of(header) is None


def test_a_date_that_is_past_is_now():
    assert seconds_of("Fri, 31 Dec 1999 23:59:59 GMT") == 0
