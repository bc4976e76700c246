"""Layers that an image takes from others: what image.yaml may say, and what of it is refused, in one line."""

import pytest

from builder.catalog import models
from builder.catalog.models import Catalog
from builder.errors import UsageError

LAYERS = "layers:\n  - name: numpy"


@pytest.fixture
def add(folder, edit):
    """Add a copy of tiny to the catalog, whose own layers begin with one called `own`, with these shared ones."""

    def add(name: str, *shared: str) -> None:
        (folder / name).mkdir()
        (folder / name / "image.yaml").write_bytes((folder / "tiny/image.yaml").read_bytes())
        edit(f"{name}/image.yaml", "  - name: python\n", f"  - name: {name}-python\n")
        lines = "".join(f"  - {each}\n" for each in shared)
        edit(f"{name}/image.yaml", LAYERS, f"shared:\n{lines}layers:\n  - name: {name}")

    return add


@pytest.fixture
def complaint(load):
    def complaint() -> str:
        with pytest.raises(UsageError) as caught:
            load()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return complaint


def names(catalog: Catalog, *wanted: str) -> list[str]:
    return [image.name for image in catalog.select(wanted)]


def test_an_image_takes_layers_of_several_images(add, load):
    add("one", "{image: tiny, layers: [numpy]}")
    add("both", "{image: tiny, layers: [python]}", "{image: one, layers: [one]}")
    assert [shared.image for shared in load().image("both").shared] == ["tiny", "one"]


def test_images_come_after_all_of_which_they_take_layers_whatever_their_names(add, load):
    add("a", "{image: b, layers: [b]}")
    add("b", "{image: tiny, layers: [numpy]}")
    assert names(load()) == ["tiny", "b", "a"]
    assert names(load(), "a", "b") == ["b", "a"]


def test_a_source_that_does_not_exist_is_refused(add, complaint):
    add("other", "{image: tinny, layers: [numpy]}")
    assert complaint().endswith(
        "other/image.yaml:13: shared.0.image: expected another image, found 'tinny'; there are: tiny"
    )


def test_an_image_is_no_source_of_its_own(add, complaint):
    add("other", "{image: other, layers: [other]}")
    assert "shared.0.image: expected another image, found 'other'; there are: tiny" in complaint()


def test_a_layer_that_the_source_does_not_own_is_refused_with_those_it_does(add, complaint):
    add("one", "{image: tiny, layers: [numpy]}")
    add("two", "{image: tiny, layers: [python]}", "{image: one, layers: [one, numpy]}")
    assert complaint().endswith(
        "two/image.yaml:14: shared.1.layers.1: one has no layer 'numpy' of its own; it has: one, one-python"
    )


@pytest.mark.parametrize(
    ("shared", "where"),
    [
        (["{image: tiny, layers: [numpy, numpy]}"], "image.yaml:13: shared.0.layers.1: "),
        (["{image: tiny, layers: [numpy]}", "{image: tiny, layers: [numpy]}"], "image.yaml:14: shared.1.layers.0: "),
    ],
)
def test_a_layer_that_is_there_twice_is_refused(add, complaint, shared, where):
    add("other", *shared)
    assert f"other/{where}expected another name for each layer, found 'numpy' again" in complaint()


def test_a_layer_of_the_image_with_the_name_of_a_shared_one_is_refused(add, edit, complaint):
    add("other", "{image: tiny, layers: [numpy]}")
    edit("other/image.yaml", "name: other-python", "name: numpy")
    assert "layers.1.name: expected another name for each layer, found 'numpy' again" in complaint()


def test_a_circle_is_refused(add, complaint):
    add("a", "{image: b, layers: [b]}")
    add("b", "{image: a, layers: [a]}")
    assert complaint().endswith(
        ("a/image.yaml:12: shared: expected no circle, found a, which takes layers of b, which takes layers of a",
         "b/image.yaml:12: shared: expected no circle, found b, which takes layers of a, which takes layers of b")
    )  # fmt: skip


def test_a_circle_of_three_is_refused(add, complaint):
    """Each says which takes from which, not the other way round."""
    add("a", "{image: b, layers: [b]}")
    add("b", "{image: c, layers: [c]}")
    add("c", "{image: a, layers: [a]}")
    *_, found = complaint().partition("found ")
    assert found in {", which takes layers of ".join(circle) for circle in ("abca", "bcab", "cabc")}


def test_a_source_outside_a_list_is_refused(add, edit, complaint):
    add("other", "{image: tiny, layers: [numpy]}")
    edit("other/image.yaml", "shared:\n  - {", "shared: {")
    assert "other/image.yaml:12: shared: expected a list, found {'image': 'tiny', 'layers': ['numpy']}" in complaint()


def test_no_image_of_the_real_catalog_is_before_its_sources():
    catalog = models.load(models.paths.IMAGES)
    order = names(catalog)
    for image in catalog.images.values():
        assert all(order.index(shared.image) < order.index(image.name) for shared in image.shared)
