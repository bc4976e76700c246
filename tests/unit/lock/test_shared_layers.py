"""`lock` of an image that shares layers says which wheels differ from the source image's, and what to write."""

from dataclasses import replace

import pytest

from builder.errors import SeedbedError
from builder.lock import requirements
from builder.lock.index import Pin
from builder.lock.requirements import Lock

SIX = Pin("six", "1.17.0", "d" * 64)
STUBS = Pin("pip-stubs", "1.0", "e" * 64)
OTHER = """\
title: Other
description: An image that shares two layers with tiny.
base: base
python: "3.11"
frameworks: []
versions: {six: "1.17.0"}
tag: "{six}"
licenses: MIT
shared: {image: tiny, layers: [numpy, python]}
layers: [{name: rest, packages: ["*"]}]
example: digits_numpy.py
size_budget: {compressed: 1GB, unpacked: 1GB}
"""


@pytest.fixture
def lock_other(folder, load, edit, monkeypatch):
    """Lock `other`, for which the index offers these wheels."""
    edit("tiny/image.yaml", '["*"]', "[pip*]")
    (folder / "other").mkdir()
    (folder / "other/image.yaml").write_text(OTHER)
    (folder / "other/requirements.in").write_text("six\n")

    def lock(*wheels: Pin) -> Lock:
        monkeypatch.setattr(requirements, "resolve", lambda *_: wheels)
        loaded = load()
        return requirements.make(loaded, loaded.image("other"), "2026-11-20T00:00:00Z")

    return lock


@pytest.fixture
def of_tiny(load) -> tuple[Pin, ...]:
    return requirements.read(load().image("tiny")).wheels


def test_equal_layers_are_locked(lock_other, of_tiny):
    assert lock_other(SIX, *of_tiny).wheels == (SIX, *of_tiny)


def test_every_wheel_that_is_missing_is_named_with_the_lines_to_add(lock_other):
    with pytest.raises(
        SeedbedError,
        match=r"other/requirements.in: other shares layers with tiny, but lacks numpy==2.4.6 of layer numpy, "
        r"pip==\S+ of layer python; add a line for each of numpy, pip, and run ./build.py lock other$",
    ):
        lock_other(SIX)


def test_a_wheel_that_the_source_image_lacks_is_named_with_its_layer(lock_other, of_tiny):
    with pytest.raises(
        SeedbedError,
        match=r"other/image.yaml:9: shared.layers: other has pip-stubs==1.0 of layer python, which tiny lacks; take "
        r"python out of shared.layers, give other a layer of its own for these wheels, and run ./build.py lock other$",
    ):
        lock_other(SIX, *of_tiny, STUBS)


def test_another_file_of_the_same_version_asks_for_both_locks(lock_other, of_tiny):
    with pytest.raises(
        SeedbedError,
        match=r"requirements.lock: has other files of numpy, pip than tiny; run ./build.py lock other tiny$",
    ):
        lock_other(SIX, *(replace(pin, sha256="f" * 64) for pin in of_tiny))
