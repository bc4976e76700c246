"""`lock` of an image that shares layers says which wheels differ from the source image's, and what to write."""

from dataclasses import replace

import pytest

from builder.catalog.models import Catalog
from builder.errors import SeedbedError, UsageError
from builder.lock import requirements
from builder.lock.index import Pin
from builder.lock.requirements import Lock

SIX = Pin("six", "1.17.0", "d" * 64)
STUBS = Pin("pip-stubs", "1.0", "e" * 64)
SHARED = "shared: [{image: tiny, layers: [numpy, python]}]"
OTHER = f"""\
title: Other
description: An image that shares two layers with tiny.
base: base
python: "3.11"
frameworks: []
versions: {{six: "1.17.0"}}
tag: "{{six}}"
licenses: MIT
{SHARED}
layers: [{{name: rest, packages: ["*"]}}]
example: digits_numpy.py
size_budget: {{compressed: 1GB, unpacked: 1GB}}
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


def layers_of(loaded: Catalog, lock: Lock) -> dict[str, list[Pin]]:
    image = loaded.image("other")
    layers = requirements.layers_of(image, lock, requirements.shared_layers(loaded, image))
    return {group.name: list(wheels) for group, wheels in layers}


def test_equal_layers_are_locked(lock_other, of_tiny):
    assert lock_other(SIX, *of_tiny).wheels == (SIX, *of_tiny)


def test_every_wheel_that_is_missing_is_named_with_the_lines_to_add(lock_other):
    with pytest.raises(
        SeedbedError,
        match=r"other/requirements.in: other shares layers with tiny, but lacks numpy==2.4.6 of layer numpy, "
        r"pip==\S+ of layer python; add a line for each of numpy, pip, and run ./build.py lock other$",
    ):
        lock_other(SIX)


def test_a_shared_layer_holds_what_it_holds_in_the_source_image_whatever_its_pattern(lock_other, of_tiny, load):
    """pip-stubs matches tiny's pattern for its layer `python`, but tiny lacks it."""
    lock = lock_other(SIX, *of_tiny, STUBS)
    layers = layers_of(load(), lock)
    assert layers["rest"] == [SIX, STUBS]
    assert sorted(layers["numpy"] + layers["python"], key=str) == list(of_tiny)


def test_another_file_of_the_same_version_asks_for_both_locks(lock_other, of_tiny):
    with pytest.raises(
        SeedbedError,
        match=r"requirements.lock: has other files of numpy, pip than tiny; run ./build.py lock other tiny$",
    ):
        lock_other(SIX, *(replace(pin, sha256="f" * 64) for pin in of_tiny))


@pytest.fixture
def second_source(folder, of_tiny, lock_other):
    """An image `second` whose layer `seconds` holds these wheels; `other` takes it beside those of tiny."""

    def add(*wheels: Pin) -> None:
        (folder / "second").mkdir()
        text = OTHER.replace("name: rest", "name: seconds").replace(f"{SHARED}\n", "")
        (folder / "second/image.yaml").write_text(text)
        (folder / "second/requirements.lock").write_text(Lock("", "", wheels).render("second"))
        both = SHARED.replace("]}]", "]}, {image: second, layers: [seconds]}]")
        (folder / "other/image.yaml").write_text(OTHER.replace(SHARED, both))

    return add


def test_layers_of_two_images_are_locked_in_their_order(lock_other, of_tiny, second_source, load):
    """The negative control is below: with a wheel in both, they are not."""
    second_source(STUBS)
    lock = lock_other(SIX, *of_tiny, STUBS)
    assert list(layers_of(load(), lock)) == ["numpy", "python", "seconds", "rest"]
    assert layers_of(load(), lock)["seconds"] == [STUBS]


def test_what_uv_may_choose_is_what_the_sources_have(lock_other, of_tiny, second_source, load, monkeypatch):
    second_source(STUBS)
    asked = []
    monkeypatch.setattr(requirements, "resolve", lambda *given: asked.extend(given[2]) or (SIX, *of_tiny, STUBS))
    loaded = load()
    requirements.make(loaded, loaded.image("other"), "2026-11-20T00:00:00Z")
    assert asked == ["six==1.17.0", *(f"{pin.name}=={pin.version}" for pin in (*of_tiny, STUBS))]


@pytest.mark.parametrize("version", ["2.4.6", "1.0"])
def test_a_wheel_in_layers_of_two_images_is_refused_in_this_version_or_another(lock_other, second_source, version):
    """Files would be there twice, or the upper layer would hide those of another version."""
    second_source(Pin("numpy", version, "a" * 64), STUBS)
    with pytest.raises(
        UsageError,
        match=r"other/image.yaml:9: shared.1.layers.0: numpy would be in two layers, numpy of tiny and seconds of "
        r"second; take one of them out of shared$",
    ):
        lock_other(SIX)


@pytest.mark.parametrize(
    ("wheels", "complaint"),
    [
        ((), r"shares layers with tiny and second, but lacks numpy==\S+ of layer numpy, pip==.* of layer seconds;"),
        ((STUBS,), r"shares layers with tiny, but lacks numpy"),
    ],
)
def test_missing_wheels_are_named_with_the_sources_that_have_them(lock_other, second_source, wheels, complaint):
    second_source(STUBS)
    with pytest.raises(SeedbedError, match=complaint):
        lock_other(SIX, *wheels)
