"""Images go to a registry straight from their layers, as the very manifest that was built and tested."""

import json
import logging

import pytest

from builder.errors import SeedbedError, UsageError
from builder.image import dockerfile
from builder.oci.layout import read_image
from builder.oci.registry import Repository
from builder.oci.store import MANIFEST_TYPE, Blob, Store
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


def test_what_was_not_tested_gets_no_tag(cache, tested, repository, edit, resolve, said):
    edit("tiny/image.yaml", "description: numpy", "description: Untested numpy")
    untested = resolve()
    dockerfile.write(untested)
    name, _, digest = publish.push(untested, None).partition("@")
    assert name == repository and Repository.of(repository).digest(digest) == digest
    assert Repository.of(repository).digest("2.4.6-py311") is None
    assert "no tag" in said()


def test_what_was_not_tested_in_full_gets_no_tag(cache, tested, recipe, repository, said):
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


def test_where_to_push_has_to_be_said(recipe, monkeypatch):
    monkeypatch.delenv("SEEDBED_REPOSITORY", raising=False)
    with pytest.raises(UsageError, match="set SEEDBED_REPOSITORY"):
        publish.push(recipe, None)


def test_past_its_end_of_life_it_is_pushed_only_if_that_is_asked_for(cache, repository, edit, resolve):
    edit("tiny/image.yaml", "tag:", "end_of_life: {date: 2026-04-23, note: It is over.}\ntag:")
    old = resolve()
    dockerfile.write(old)
    with pytest.raises(SeedbedError, match=r"^tiny: end of life since 2026-04-23: It is over\. .* add --past-end"):
        publish.push(old, None)
    name, _, digest = publish.push(old, None, past_end_of_life=True).partition("@")
    assert Repository.of(name).digest(digest) == digest
