"""The short form of the campaign with hostile containers (tests/torture/containers.py), on the real images."""

import pytest

from tests.image.conftest import IMAGES
from tests.torture import containers
from tests.torture.containers import Setting, Try

SEED, TRIES = 1, 12


@pytest.mark.parametrize("number", range(1, TRIES + 1))
def test_a_training_repeats_or_ends_with_a_reason(record_of, number: int) -> None:
    tried = containers.made(SEED, number, record_of(IMAGES[number % len(IMAGES)]).digest)
    assert tried.run() is None, tried.describe()


OFF = Setting(docker=("--env=SEEDBED_MODE=off",))
FAULTS = {
    "unseeded": (OFF, "it goes on with other numbers, status 0: numpy, random, torch"),
    "without a result": (Setting(python=("-c", "")), "status 0 without a result"),
    "without a reason": (Setting(before="exec 2>/dev/null; exit 3"), "status 3 and does not say why"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_campaign_sees_a_training_that_goes_on_unseeded_and_one_that_gives_no_reason(record_of, fault: str) -> None:
    setting, complaint = FAULTS[fault]
    found = Try(1, record_of("pytorch").digest, "entrypoint", "python", (setting,)).run()
    assert found is not None and complaint in found


def test_a_container_that_nothing_is_done_to_holds(record_of) -> None:
    assert Try(1, record_of("pytorch").digest, "entrypoint", "python", ()).run() is None
