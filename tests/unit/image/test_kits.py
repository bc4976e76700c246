"""Which rebuild kits a build may take packages from, in which order."""

from pathlib import Path

import pytest

from builder.image import digest, kits
from builder.layers.kit import KitAtHand, PublishedKit


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("SEEDBED_KIT", "SEEDBED_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("repository", [None, ""])
def test_without_settings_there_is_none(resolve, monkeypatch, repository):
    """The plain name of images, seedbed/tiny, is in no registry. An empty variable, as CI sets it, is none."""
    if repository is not None:
        monkeypatch.setenv("SEEDBED_REPOSITORY", repository)
    assert kits.of(resolve()) == []
    assert kits.elsewhere() == {}


def test_a_kit_at_hand_comes_before_that_of_the_published_image(resolve, monkeypatch):
    monkeypatch.setenv("SEEDBED_KIT", "kit.tar")
    monkeypatch.setenv("SEEDBED_REPOSITORY", "registry.example.org/team")
    assert kits.of(resolve()) == [
        KitAtHand(Path("kit.tar")),
        PublishedKit("registry.example.org/team/tiny", "2.4.6-py311"),
    ]


def test_the_published_image_is_the_digest_of_record_if_there_is_one_of_these_locks(resolve, monkeypatch, edit):
    monkeypatch.setenv("SEEDBED_REPOSITORY", "registry.example.org/team")
    recipe, recorded = resolve(), f"sha256:{'1' * 64}"
    digest.path_of(recipe).write_text(f"lock sha256:{recipe.lock}\nmanifest {recorded}\n")
    assert kits.of(recipe) == [PublishedKit("registry.example.org/team/tiny", recorded)]
    edit("tiny/digest", f"lock sha256:{recipe.lock}", f"lock sha256:{'2' * 64}")
    assert kits.of(recipe) == [PublishedKit("registry.example.org/team/tiny", "2.4.6-py311")]


def test_a_process_in_another_folder_finds_the_kit_at_hand(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEEDBED_KIT", "kit.tar")
    assert kits.elsewhere() == {"SEEDBED_KIT": f"{tmp_path}/kit.tar"}
