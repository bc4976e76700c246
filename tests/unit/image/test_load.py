"""Loading an image into an engine: nothing if it is there, a pull, or `docker load`; and no name is left of that."""

import json
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from builder.engine.client import Engine as RealEngine
from builder.errors import SeedbedError
from builder.image import assemble, load
from builder.image.record import LayerRecord, Record
from builder.oci.layout import Layout, compose
from builder.oci.store import CONFIG_TYPE, MANIFEST_TYPE
from builder.oci.tar import file, write_layer


class Engine:
    """An engine that knows images by manifest or, in the older image store, by config; it may not reach loopback."""

    def __init__(self, *, by: str = "digest", reaches: bool = True, takes: str | None = None) -> None:
        self.by, self.reaches, self.takes = by, reaches, takes
        self.known: set[str] = set()
        self.done: list[str] = []
        self.named: list[str] = []
        self.served = b""

    def find(self, *digests: str) -> str | None:
        return next((digest for digest in digests if digest in self.known), None)

    def try_pull(self, name: str) -> str:
        self.done.append("pull")
        if not self.reaches:
            return "connection refused"
        repository, _, digest = name.rpartition("@")
        host, _, path = repository.partition("/")
        with urllib.request.urlopen(f"http://{host}/v2/{path}/manifests/{digest}", timeout=10) as answer:
            self.served = answer.read()
        self.named.append(name)
        self.take(digest)
        return ""

    def load(self, folder: Path) -> None:
        self.done.append("load")
        self.take(Layout(folder).descriptor().digest)

    def take(self, manifest: str) -> None:
        document = json.loads(assemble.store().blob(manifest).read_bytes())
        self.known.add(self.takes or (manifest if self.by == "digest" else document["config"]["digest"]))

    def names(self, *digests: str) -> Iterable[str]:
        return list(self.named)

    def remove(self, name: str) -> None:
        self.done.append(f"remove {name}")
        self.named.remove(name)


@pytest.fixture
def built(tmp_path, monkeypatch) -> Record:
    """The record of an image in the store."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    store = assemble.store()
    layer = write_layer(store, [file("a", b"a")], epoch=0, level=1, what="a layer")
    image = compose([layer], {}, epoch=0)
    store.add(image.config, CONFIG_TYPE)
    store.add(image.manifest, MANIFEST_TYPE)
    part = LayerRecord(digest=layer.descriptor.digest, size=1, what="a layer")
    return Record(
        image="tiny",
        inputs="i",
        lock="l",
        digest=image.digest,
        config=image.config_digest,
        layers=(part,),
        unpacked=0,
        seconds=1,
    )


@pytest.mark.parametrize("by", ["digest", "config"])
def test_what_the_engine_has_is_not_loaded_again(built, by):
    engine = Engine()
    engine.known = {getattr(built, by)}
    assert load.load(built, engine) == getattr(built, by)
    assert engine.done == []


@pytest.mark.parametrize("by", ["digest", "config"])
def test_the_engine_pulls_the_image_from_the_store_and_is_asked_by_what_it_knows_it(built, by):
    engine = Engine(by=by)
    assert load.load(built, engine) == getattr(built, by)
    assert engine.done == ["pull"]
    assert engine.served == assemble.store().blob(built.digest).read_bytes()


def test_it_is_named_by_its_digest_in_a_repository_on_loopback(built):
    engine = Engine()
    load.load(built, engine)
    [name] = engine.named
    assert name.startswith("127.0.0.1:") and name.endswith(f"/{load.UNTESTED}/tiny@{built.digest}")


@pytest.mark.parametrize("by", ["digest", "config"])
def test_an_engine_that_cannot_reach_our_loopback_is_given_all_of_it(built, by, tmp_path):
    engine = Engine(by=by, reaches=False)
    assert load.load(built, engine) == getattr(built, by)
    assert engine.done == ["pull", "load"]
    assert list((tmp_path / "cache").rglob("index.json")) == [], "what it was read from is gone"


@pytest.mark.parametrize("reaches", [True, False])
def test_another_image_than_the_one_asked_for_is_an_error(built, reaches):
    """Control: an engine that rewrites what it takes in has no image that was tested."""
    other = f"sha256:{'e' * 64}"
    with pytest.raises(SeedbedError, match=rf"^tiny: the engine has loaded another image than {built.digest}: report"):
        load.load(built, Engine(takes=other, reaches=reaches))


def test_an_image_that_the_store_has_lost_is_one_line(built):
    assemble.store().blob(built.digest).unlink()
    with pytest.raises(SeedbedError, match=r"is missing; build the image again$"):
        load.load(built, Engine(reaches=False))


def test_its_temporary_name_is_taken_away_and_no_other(built):
    engine = Engine()
    load.load(built, engine)
    [temporary] = engine.named
    others = [
        f"seedbed/tiny@{built.digest}",
        f"127.0.0.1:5000/team/tiny@{built.digest}",
        f"127.0.0.1:5000/{load.UNTESTED}/tiny2@{built.digest}",
        f"registry.example/{load.UNTESTED}/tiny@{built.digest}",
    ]
    engine.named += others
    load.forget_source(built, engine)
    assert engine.named == others
    assert engine.done == ["pull", f"remove {temporary}"]


def test_an_image_without_a_name_has_none_to_take_away(built):
    known = SimpleNamespace(attrs={"RepoDigests": None})
    client = SimpleNamespace(images=SimpleNamespace(get=lambda name: known))
    load.forget_source(built, RealEngine(client, {}, embedded=False))
