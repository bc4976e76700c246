"""Where a push looks for layers before it sends them."""

import pytest

from builder import paths
from builder.catalog import models
from builder.errors import UsageError
from builder.image import recipe as recipes
from builder.publish import push


@pytest.fixture(scope="module")
def catalog():
    return models.load(paths.ROOT / "images")


def test_those_come_first_with_which_an_image_has_most_layers_in_common(catalog):
    names = [image.name for image in push.relatives(catalog.image("trio"), catalog)]
    assert {*names[:3]} == {"pytorch", "tensorflow", "jax"}
    assert "trio" not in names


def test_also_those_that_take_layers_from_it(catalog):
    assert push.relatives(catalog.image("jax"), catalog)[0].name in ("pytorch", "trio")
    assert {*catalog.images} - {"jax"} == {image.name for image in push.relatives(catalog.image("jax"), catalog)}


def test_repositories_are_named_as_the_registry_names_them(catalog, monkeypatch):
    monkeypatch.setenv("SEEDBED_REPOSITORY", "registry.example.org/team")
    trio = recipes.resolve(catalog, catalog.image("trio"))
    assert {*push.repositories_beside(trio)[:3]} == {"team/pytorch", "team/tensorflow", "team/jax"}


@pytest.mark.parametrize("repository", [None, ""], ids=["unset", "empty"])
def test_where_to_push_has_to_be_said(catalog, monkeypatch, repository):
    """Plain `seedbed/pytorch` would be a place in Docker's own registry."""
    monkeypatch.delenv("SEEDBED_REPOSITORY", raising=False)
    if repository is not None:
        monkeypatch.setenv("SEEDBED_REPOSITORY", repository)
    with pytest.raises(UsageError, match="set SEEDBED_REPOSITORY"):
        push.push(recipes.resolve(catalog, catalog.image("trio")), None)
