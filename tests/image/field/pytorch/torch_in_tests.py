"""Tests that draw from torch, which the first test has imported."""

import pytest
import torch


@pytest.mark.parametrize("number", range(2))
def test_draws(number: int, record_property) -> None:
    record_property("drawn", f"{number} {torch.rand(1).item()}")
