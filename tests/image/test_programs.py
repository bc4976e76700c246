"""Third-party programs, as the smoke tests ran them in each image (docs/programs.md)."""

import pytest

from builder.lock import programs
from builder.reading import title_of
from builder.smoke import checks
from tests.image.conftest import IMAGES


@pytest.mark.parametrize("name", IMAGES)
def test_every_program_was_run_and_repeats(name, recipe_of, record_of):
    assert record_of(name).full, "run make images SMOKE=--full"
    outcomes = {result.check: result.outcome for result in record_of(name).smoke}
    for script in programs.of(recipe_of(name).image).scripts:
        assert outcomes[f"{checks.CLAIM}{title_of(script)}"] == "passed"
