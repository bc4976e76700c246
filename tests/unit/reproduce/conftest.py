"""Images to compare."""

from pathlib import Path

import pytest

from tests.layouts import Layouts


@pytest.fixture
def image(tmp_path: Path) -> Layouts:
    return Layouts(tmp_path)
