"""Tests that print what they draw; pytest-xdist gives them to whichever worker is free."""

import random

import numpy
import pytest

at_import = random.random()


@pytest.fixture(scope="module")
def shared() -> float:
    return random.random()


@pytest.mark.parametrize("number", range(4))
def test_draws(number: int, shared: float, record_property) -> None:
    drawn = random.random(), numpy.random.rand(), numpy.random.default_rng().random()
    record_property("drawn", f"{number} {at_import} {shared} {drawn}")
    random.seed(number)  # ends with the test
