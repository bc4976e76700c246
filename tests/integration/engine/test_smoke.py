"""Images that an engine holds: loaded, tested, tagged, and no sooner."""

import shutil
import uuid
from collections.abc import Iterator

import pytest

from builder.engine.client import Engine
from builder.image import build, dockerfile, load
from builder.image.build import Options
from builder.image.recipe import Recipe, resolve_all
from builder.image.record import Record
from builder.oci import serve
from builder.oci.serve import Handler
from builder.smoke import checks, smoke
from tests.conftest import TINY
from tests.integration.conftest import no_engine, own_cache


def test_an_image_built_without_an_engine_is_loaded_by_smoke_and_passes_and_has_its_tags(tiny, docker):
    """`tiny` is built where asking for an engine fails the test."""
    assert [result for result in tiny.smoke if result.outcome == "failed"] == []
    assert tiny.tested
    assert all(docker.digest(tag) == tiny.digest for tag in tiny.tags)


def test_the_engine_has_the_layers_that_the_record_lists(tiny, docker):
    listed = [(layer.digest, layer.size) for layer in tiny.layers]
    assert listed == [(layer["digest"], layer["size"]) for layer in docker.read(tiny.digest).manifest["layers"]]


@pytest.fixture(scope="module")
def other(tiny, tmp_path_factory) -> Iterator[tuple[Recipe, Record]]:
    """Another image of the same layers but the last, which no engine has ever seen."""
    folder = shutil.copytree(TINY, tmp_path_factory.mktemp("other") / "images")
    path = folder / "tiny" / "image.yaml"
    text = path.read_text().replace("title: Tiny", f"title: Tiny {uuid.uuid4()}")
    path.write_text(text.replace('tag: "{numpy}-py{python}"', 'tag: "{numpy}-untested"'))
    with own_cache(tiny):
        [recipe] = resolve_all(folder, ["tiny"])
        recipe.image.dockerfile_path.write_text(dockerfile.render(recipe))
        yield recipe, build.build(recipe, Options(), no_engine)


@pytest.fixture
def untested(other, docker) -> Iterator[Record]:
    """The other image, built and in no engine."""
    yield other[1]
    docker.remove(other[1].digest)


@pytest.fixture
def served(monkeypatch) -> list[str]:
    """The digests of the blobs that engines ask Seedbed for, as they ask."""
    asked: list[str] = []

    class Counted(Handler):
        def do_GET(self) -> None:
            asked.append(self.path.rpartition("/")[2])
            super().do_GET()

    monkeypatch.setattr(serve, "Handler", Counted)
    return asked


def test_the_engine_pulls_only_the_layers_that_it_lacks_and_the_image_has_no_tag(tiny, untested, docker, served):
    assert load.load(untested, docker) == untested.digest
    sizes = {layer.digest: layer.size for layer in untested.layers}
    lacking = sizes.keys() - {layer.digest for layer in tiny.layers}
    assert len(lacking) == 1
    assert {digest for digest in served if digest in sizes} == lacking
    assert sum(sizes[digest] for digest in lacking) < sum(sizes.values()) / 100
    assert not docker.has("seedbed/tiny:2.4.6-untested")


def test_an_image_that_the_engine_has_is_not_sent_again(tiny, docker, served):
    assert load.load(tiny, docker) == tiny.digest
    assert served == []


def test_an_engine_that_cannot_reach_the_loopback_is_given_the_image(untested, docker, monkeypatch):
    monkeypatch.setattr(Engine, "try_pull", lambda *_: "it cannot be reached")
    assert load.load(untested, docker) == untested.digest
    assert docker.read(untested.digest).layers == [layer.digest for layer in untested.layers]


def test_an_image_that_failed_a_check_gets_no_tag(other, untested, docker, monkeypatch):
    monkeypatch.setattr(checks, "COMMON", {"it fails": fails})
    tested = smoke.test(other[0], docker, "off")
    assert not tested.tested and tested.tags == ()
    assert not docker.has("seedbed/tiny:2.4.6-untested")


def fails(subject) -> None:
    subject.run("false")
