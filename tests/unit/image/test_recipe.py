"""Recipes: both locks, read and checked once, and what follows from them."""

import hashlib
from dataclasses import FrozenInstanceError

import pytest

from builder import paths
from builder.catalog.models import Image
from builder.errors import SeedbedError, UsageError
from builder.image import build, dockerfile
from builder.image.recipe import resolve_all
from builder.lock import packages, requirements


def test_it_holds_the_image_its_base_and_both_locks(resolve):
    recipe = resolve()
    assert (recipe.name, recipe.image.name, recipe.base.name) == ("tiny", "tiny", "base")
    assert recipe.wheels == requirements.read(recipe.image)
    assert recipe.packages == packages.read(recipe.base)
    assert recipe.epoch == recipe.base.source_date_epoch
    assert recipe.holds("numpy") and not recipe.holds("torch")
    assert [pin for _, pins in recipe.layers for pin in pins] == list(recipe.wheels.wheels)


def test_the_packages_that_image_yaml_names_are_pinned_as_apt_get_takes_them(resolve):
    recipe = resolve()
    assert recipe.pins() == [f"{name}={recipe.packages.version(name)}" for name in sorted(recipe.base.packages)]
    assert all("None" not in pin for pin in recipe.pins())


def test_its_digest_is_that_of_both_lock_files(resolve):
    recipe = resolve()
    both = recipe.base.lock_path.read_bytes() + recipe.image.lock_path.read_bytes()
    assert recipe.lock == hashlib.sha256(both).hexdigest()


@pytest.mark.parametrize("name", ["tiny/requirements.lock", "base/packages.lock"])
def test_a_change_of_either_lock_is_another_digest(resolve, folder, name):
    before = resolve().lock
    path = folder / name
    path.write_text(path.read_text().replace("# ", "#  ", 1))
    assert resolve().lock != before


@pytest.mark.parametrize(
    ("name", "before", "after", "complaint"),
    [
        ("tiny/requirements.in", "numpy\n", "numpy\nsix\n", r"requirements\.lock: stale.*run \./build\.py lock tiny"),
        ("tiny/image.yaml", 'numpy: "2.4.6"', 'numpy: "2.4.5"', r"versions\.numpy: says 2\.4\.5, but requirements\.lo"),
    ],
)
def test_a_stale_lock_gives_no_recipe(resolve, edit, name, before, after, complaint):
    edit(name, before, after)
    with pytest.raises(SeedbedError, match=complaint):
        resolve()


def test_a_recipe_never_changes(resolve):
    with pytest.raises(FrozenInstanceError):
        resolve().lock = "another"


def test_an_image_that_shares_layers_comes_after_the_one_it_shares_them_with():
    names = [recipe.name for recipe in resolve_all(paths.IMAGES, ())]
    assert names.index("pytorch") < names.index("tensorflow")
    assert [recipe.name for recipe in resolve_all(paths.IMAGES, ["tensorflow"])] == ["tensorflow"]
    with pytest.raises(UsageError, match="no image 'tensorfloww'"):
        resolve_all(paths.IMAGES, ["tensorfloww"])


def test_what_has_a_recipe_reads_no_lock_again(resolve, monkeypatch):
    """Control: a lock that changes meanwhile is not in the image, whatever the record says."""
    recipe = resolve()
    monkeypatch.setattr(packages, "read", unread)
    monkeypatch.setattr(requirements, "read", unread)
    before = (dockerfile.render(recipe), build.inputs_of(recipe))
    assert before == (dockerfile.render(recipe), build.inputs_of(recipe))


def unread(image: Image) -> None:
    raise AssertionError(f"the lock of {image.name} was read again")
