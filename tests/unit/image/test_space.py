"""How much disk a build asks for before it begins."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.image import assemble, build
from builder.image.recipe import Recipe, resolve_all
from builder.image.record import LayerRecord, Record
from builder.layers import wheels
from builder.layers.install import Wheel

GB = 1_000_000_000


@pytest.fixture
def recipes(tmp_path, monkeypatch) -> dict[str, Recipe]:
    """Those of the real catalog, of which nothing is built or fetched yet."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    return {recipe.name: recipe for recipe in resolve_all(paths.IMAGES, ())}


@pytest.fixture
def sharing(recipes) -> Recipe:
    """An image that shares layers of another."""
    return next(recipe for recipe in recipes.values() if recipe.image.shared)


def built(recipe: Recipe, number: str, *groups: str) -> Record:
    """A build of the image with a layer of 1 GB for each of these groups, in the store."""
    made = Record(
        image=recipe.name,
        inputs=number,
        lock="",
        digest=digest(number),
        config=digest(number),
        layers=[LayerRecord(digest=digest(number + name), size=GB, what=f"{name}: some wheels") for name in groups],
        unpacked=0,
        seconds=1,
    )
    made.save()
    for layer in made.layers:
        blob(layer).parent.mkdir(parents=True, exist_ok=True)
        blob(layer).touch()
    return made


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def blob(layer: LayerRecord) -> Path:
    return assemble.store().blob(layer.digest)


def test_without_anything_there_it_is_wheels_and_layers(sharing):
    assert build.space_needed(sharing) == 2 * sharing.image.size_budget.compressed


def test_wheels_that_are_fetched_are_not_counted_again(sharing, monkeypatch, tmp_path):
    monkeypatch.setattr(wheels, "find", lambda pin: Wheel(pin.name, pin.version, pin.sha256, tmp_path))
    assert build.space_needed(sharing) == sharing.image.size_budget.compressed


def test_layers_shared_with_another_image_are_there_already_if_the_store_has_them(recipes, sharing):
    """Control: what that image has to itself is of no use."""
    without, (shared, *_) = build.space_needed(sharing), sharing.image.shared
    source = built(recipes[shared.image], "1", shared.layers[0], "its own")
    assert without - build.space_needed(sharing) == GB
    blob(source.layers[0]).unlink()
    assert build.space_needed(sharing) == without


def test_layers_shared_with_several_images_add_up_and_a_group_that_is_split_has_two(recipes):
    """Control: another build of the same source image adds nothing."""
    several = next(recipe for recipe in recipes.values() if len({each.image for each in recipe.image.shared}) > 1)
    without = build.space_needed(several)
    first, second, *_ = {each.image: each.layers[0] for each in several.image.shared}.items()
    built(recipes[first[0]], "1", first[1], f"{first[1]}, the rest")
    assert without - build.space_needed(several) == 2 * GB
    built(recipes[second[0]], "2", second[1])
    built(recipes[second[0]], "3", second[1])
    assert without - build.space_needed(several) == 3 * GB


def test_layers_of_the_image_itself_are_there_already_but_several_builds_do_not_add_up(sharing):
    without = build.space_needed(sharing)
    for number in "12":
        built(sharing, number, "one", "two")
    assert without - build.space_needed(sharing) == 2 * GB


def test_a_build_that_has_no_room_is_refused_before_it_begins(sharing, monkeypatch):
    """Control: with one byte more there is room."""
    needed = build.space_needed(sharing)
    monkeypatch.setattr(build.shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed - 1))
    with pytest.raises(SeedbedError, match=rf"^{sharing.name}: needs up to .* free; run ./build.py clean, or set"):
        build.check_space(sharing)
    monkeypatch.setattr(build.shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed))
    build.check_space(sharing)
