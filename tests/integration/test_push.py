"""Images go to a registry straight from their layers, as the very manifest that was built and tested."""

import json
import logging
import re
import shutil

import pytest

from builder.errors import SeedbedError
from builder.image import dockerfile
from builder.image.recipe import Recipe
from builder.layers.kit import KIT_TYPE
from builder.oci.artifacts import Artifact
from builder.oci.layout import read_image
from builder.oci.registry import Repository
from builder.oci.store import MANIFEST_TYPE, Blob, Descriptor, Store
from builder.publish import kit
from builder.publish import push as publish


@pytest.fixture
def said(caplog):
    """The last line of the log."""
    caplog.set_level(logging.INFO, "builder")
    return lambda: caplog.messages[-1]


def test_a_second_push_sends_nothing(cache, tested, recipe, repository, said):
    publish.push(recipe, None)
    assert f"; 2.4.6-py311, 2.4.6-py311-{tested.lock[:12]}" in said() and "sent 0 B" not in said()
    publish.push(recipe, None)
    assert "sent 0 B; 2.4.6-py311" in said()


@pytest.fixture
def sibling(folder, resolve) -> Recipe:
    """An image with the same layers but for the last, in the same catalog."""
    shutil.copytree(folder / "tiny", folder / "sibling")
    made = resolve("sibling")
    made.image.dockerfile_path.write_text(dockerfile.render(made))
    return made


def test_what_another_image_has_brought_is_mounted(cache, tested, recipe, sibling, repository, nothing_attached, said):
    publish.push(recipe, None)
    name, _, digest = publish.push(sibling, None).partition("@")
    assert re.search(r"sibling: sent \d+ .B, mounted \d+ MB from other images; no tag", said())
    assert Repository.of(name).digest(digest) == digest
    image = json.loads(Repository.of(name).manifest(digest))
    assert all(Repository.of(name).read_blob(layer["digest"], 10**9) for layer in image["layers"])


def test_control_where_it_is_not_looked_for_it_is_sent(
    cache, tested, recipe, sibling, repository, nothing_attached, said, monkeypatch
):
    monkeypatch.setattr(publish, "relatives", lambda image, catalog: [])
    publish.push(recipe, None)
    publish.push(sibling, None)
    assert re.search(r"sibling: sent \d+ MB; no tag", said())


def test_what_was_not_tested_gets_no_tag(cache, tested, repository, nothing_attached, edit, resolve, said):
    edit("tiny/image.yaml", "description: numpy", "description: Untested numpy")
    untested = resolve()
    untested.image.dockerfile_path.write_text(dockerfile.render(untested))
    name, _, digest = publish.push(untested, None).partition("@")
    assert name == repository and Repository.of(repository).digest(digest) == digest
    assert Repository.of(repository).digest("2.4.6-py311") is None
    assert "no tag" in said()


def test_what_was_not_tested_in_full_gets_no_tag(cache, tested, recipe, repository, nothing_attached, said):
    tested.model_copy(update={"full": False}).save()
    publish.push(recipe, None)
    assert Repository.of(repository).digest("2.4.6-py311") is None
    assert said().endswith("; no tag, for it has not passed ./build.py smoke --full tiny")


def test_a_tag_never_moves(cache, tested, recipe, repository):
    image = read_image(Store(cache), tested.digest)
    other = json.dumps(json.loads(image.manifest) | {"annotations": {"other": "image"}}).encode()
    taken = Repository.of(repository)
    taken.push(Blob.of(other, MANIFEST_TYPE), publish.blobs_of(image), ["2.4.6-py311"])
    with pytest.raises(SeedbedError, match=r":2\.4\.6-py311 is sha256:\w+ already, and tags never move"):
        publish.push(recipe, None)
    assert taken.digest("2.4.6-py311") == Blob.of(other, MANIFEST_TYPE).descriptor.digest


def test_what_is_no_longer_what_was_built_is_not_pushed(cache, tested, recipe, repository):
    tested.model_copy(update={"digest": f"sha256:{'0' * 64}"}).save()
    with pytest.raises(SeedbedError, match=r"expected sha256:0000\w+, as built, found sha256:"):
        publish.push(recipe, None)


def test_past_its_end_of_life_it_is_pushed_only_if_that_is_asked_for(
    cache, repository, nothing_attached, edit, resolve
):
    edit("tiny/image.yaml", "tag:", "end_of_life: {date: 2026-04-23, note: It is over.}\ntag:")
    old = resolve()
    old.image.dockerfile_path.write_text(dockerfile.render(old))
    with pytest.raises(SeedbedError, match=r"^tiny: end of life since 2026-04-23: It is over\. .* add --past-end"):
        publish.push(old, None)
    name, _, digest = publish.push(old, None, past_end_of_life=True).partition("@")
    assert Repository.of(name).digest(digest) == digest


def test_the_rebuild_kit_is_attached_and_mounted_like_layers(cache, tested, recipe, sibling, repository, monkeypatch):
    monkeypatch.setattr(publish, "ATTACHED", (kit.beside,))
    for one in (recipe, sibling):
        name, _, digest = publish.push(one, None).partition("@")
        [referrer] = Repository.of(name).referrers(digest, KIT_TYPE)
        listed = json.loads(Repository.of(name).manifest(referrer))["layers"]
        packages = (recipe.packages.mmdebstrap, *recipe.packages.packages)
        assert [layer["digest"] for layer in listed] == [f"sha256:{package.sha256}" for package in packages]


def test_what_is_attached_refers_to_the_image_and_comes_before_its_tags(cache, tested, recipe, repository, monkeypatch):
    sbom = Blob.of(b"{}\n", "application/json")

    def maker(recipe, image):
        return [Artifact("application/x", Descriptor.of(image.manifest, MANIFEST_TYPE), (sbom,))]

    monkeypatch.setattr(publish, "ATTACHED", (maker,))
    _, _, digest = publish.push(recipe, None).partition("@")
    [referrer] = Repository.of(repository).referrers(digest, "application/x")
    assert json.loads(Repository.of(repository).manifest(referrer))["subject"]["digest"] == digest
    assert Repository.of(repository).digest(digest) == digest == tested.digest
