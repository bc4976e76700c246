"""A store, which is empty."""

from pathlib import Path

import pytest

from builder.oci.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")
