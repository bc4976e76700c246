"""How much disk a build asks for before it begins."""

import hashlib
from dataclasses import dataclass

import pytest

from builder import paths
from builder.catalog import models
from builder.image import build
from builder.image.record import LayerRecord, Record
from builder.layers import wheels
from builder.layers.install import Wheel

GB = 1_000_000_000


@dataclass(frozen=True)
class Engine:
    """An engine that has these images."""

    images: frozenset[str] = frozenset()

    def has(self, image: str) -> bool:
        return image in self.images


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The real catalog, of which nothing is built or fetched yet."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    return models.load(paths.IMAGES)


@pytest.fixture
def borrower(loaded):
    return next(image for image in loaded.images.values() if image.shared)


@pytest.fixture
def lender(loaded, borrower) -> Record:
    """A build of the image that lends: 1 GB of a shared group, which is 2 GB unpacked, and as much of its own."""
    image = loaded.image(borrower.shared.image)
    layers = [
        LayerRecord(
            digest=f"sha256:{hashlib.sha256(name.encode()).hexdigest()}",
            size=GB,
            what=f"{name}: some wheels",
            raw_size=2 * GB,
        )
        for name in (borrower.shared.layers[0], "its own")
    ]
    built = Record(
        image=image.name,
        inputs=build.inputs_of(loaded, image),
        lock="",
        digest=f"sha256:{'1' * 64}",
        config=f"sha256:{'2' * 64}",
        layers=layers,
        unpacked=0,
        seconds=1,
    )
    built.save()
    return built


def test_without_anything_there_it_is_wheels_layers_layers_in_the_engine_and_what_they_unpack_to(loaded, borrower):
    budget = borrower.size_budget
    assert build.space_needed(loaded, borrower, Engine()) == 3 * budget.compressed + budget.unpacked


def test_wheels_that_are_fetched_are_not_counted_again(loaded, borrower, monkeypatch, tmp_path):
    monkeypatch.setattr(wheels, "find", lambda pin: Wheel(pin.name, pin.version, pin.sha256, tmp_path))
    budget = borrower.size_budget
    assert build.space_needed(loaded, borrower, Engine()) == 2 * budget.compressed + budget.unpacked


def test_what_another_image_lends_is_there_already_if_the_engine_still_has_it(loaded, borrower, lender):
    without = build.space_needed(loaded, borrower, Engine())
    assert without - build.space_needed(loaded, borrower, Engine(frozenset({lender.digest}))) == 3 * GB + 2 * GB
