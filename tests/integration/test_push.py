"""Images go to a registry straight from their layers, as the very manifest that the engine built and tested."""

import json

import pytest

from builder.errors import SeedbedError, UsageError
from builder.image import build, dockerfile, manifest
from builder.image.build import Options
from builder.oci.registry import Repository
from builder.publish import push as publish


@pytest.fixture
def repository(registry, request, monkeypatch) -> str:
    """A place in the registry that this test has to itself."""
    place = f"{registry}/{request.node.name.replace('_', '-')}"
    monkeypatch.setenv("SEEDBED_REPOSITORY", place)
    return f"{place}/tiny"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def push(load, docker, said):
    def push(loaded=None) -> str:
        loaded = loaded or load()
        return publish.push(loaded, loaded.image("tiny"), docker, said.append)

    return push


def test_the_manifest_made_without_the_layers_is_the_engines_own(tiny, load, docker, log):
    loaded = load()
    image = loaded.image("tiny")
    made = build.made_stages(loaded, image, Options(), log)
    final = manifest.final_image(loaded, image, docker, made)
    assert final.digest == tiny.digest
    assert json.loads(final.manifest)["config"]["digest"] == tiny.config


def test_what_is_pulled_is_what_was_built_and_tested(tiny, repository, push, docker, run, said):
    assert push() == f"{repository}@{tiny.digest}"
    pulled = run("docker", "pull", "--quiet", f"{repository}:2.4.6-py311")
    assert pulled.returncode == 0, pulled.stderr
    assert docker.digest(f"{repository}:2.4.6-py311") == tiny.digest
    assert f"2.4.6-py311, 2.4.6-py311-{tiny.lock[:12]}" in said[-1]
    docker.remove(f"{repository}:2.4.6-py311")


def test_a_second_push_sends_nothing(tiny, repository, push, said):
    push()
    push()
    assert "sent 0 B; 2.4.6-py311" in said[-1]


def test_what_was_not_tested_gets_no_tag(repository, edit, load, push, said):
    edit("tiny/image.yaml", "description: numpy", "description: Untested numpy")
    loaded = load()
    dockerfile.render(loaded, loaded.image("tiny")).write()
    name, _, digest = push(loaded).partition("@")
    assert name == repository and Repository.of(repository).digest(digest) == digest
    assert Repository.of(repository).digest("2.4.6-py311") is None
    assert "no tag" in said[-1]


def test_a_tag_never_moves(tiny, repository, push, run, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {tiny.tags[0]}\nLABEL other=image\n")
    name = f"{repository}:2.4.6-py311"
    for command in (("build", "--tag", name, str(tmp_path)), ("push", "--quiet", name)):
        done = run("docker", *command)
        assert done.returncode == 0, done.stderr
    with pytest.raises(SeedbedError, match=r":2\.4\.6-py311 is sha256:\w+ already, and tags never move"):
        push()


def test_where_to_push_has_to_be_said(push, monkeypatch):
    monkeypatch.delenv("SEEDBED_REPOSITORY", raising=False)
    with pytest.raises(UsageError, match="set SEEDBED_REPOSITORY"):
        push()
