"""Loading an image into an engine: nothing if it is there, a pull, or `docker load`; and no name is left of that."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import SeedbedError
from builder.image import assemble, load
from builder.image.record import LayerRecord, Record
from builder.oci.layout import compose, keep, read_image
from builder.oci.tar import file, write_layer


class Engine:
    """An engine that knows images by manifest or, in the older image store, by config; it may not reach loopback."""

    def __init__(self, *, by: str = "digest", reaches: bool = True, takes: str | None = None) -> None:
        self.by, self.reaches, self.takes = by, reaches, takes
        self.known: set[str] = set()
        self.done: list[str] = []
        self.named: list[str] = []
        self.forgotten: list[str] = []
        self.served = b""

    def find(self, *digests: str) -> str | None:
        return next((digest for digest in digests if digest in self.known), None)

    def try_pull(self, name: str) -> str:
        if not self.reaches:
            self.done.append("pull")
            return "connection refused"
        repository, _, digest = name.rpartition("@")
        host, _, path = repository.partition("/")
        with urllib.request.urlopen(f"http://{host}/v2/{path}/manifests/{digest}", timeout=10) as answer:
            self.served = answer.read()
        self.named.append(name)
        self.take(digest)
        self.done.append("pull")  # last: the tests wait for it
        return ""

    def load(self, folder: Path) -> None:
        self.done.append("load")
        [manifest] = json.loads((folder / "index.json").read_bytes())["manifests"]
        self.take(manifest["digest"])

    def take(self, manifest: str) -> None:
        document = json.loads(self.served or assemble.store().blob(manifest).read_bytes())
        self.known.add(self.takes or (manifest if self.by == "digest" else document["config"]["digest"]))

    def forget(self, source: str) -> None:
        self.forgotten.append(source)


@pytest.fixture
def built(tmp_path, monkeypatch) -> Record:
    """The record of an image in the store."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    store = assemble.store()
    layers = [write_layer(store, [file(name, b"")], epoch=0, level=1, what=name) for name in "ab"]
    image = compose(layers, {"User": "1000"}, epoch=0)
    keep(store, image)
    part = LayerRecord(digest=layers[0].descriptor.digest, size=1, what="a")
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


def manifest(built: Record) -> bytes:
    return assemble.store().blob(built.digest).read_bytes()


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
    assert engine.served == manifest(built)


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


# While it is built


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(load, "PAUSE", 0.01)


def build(loader: load.Loader, built: Record, engine: Engine, *, pulls: int) -> None:
    """Have the layers there one after the other, each once the engine has taken what was there before."""
    layers = read_image(assemble.store(), built.digest).layers
    for count in range(1, pulls + 1):
        loader.grown(layers[:count])
        assert wait_for(lambda wanted=count: len(engine.done) >= wanted)


def wait_for(condition: Callable[[], bool]) -> bool:
    for _ in range(1000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_the_lowest_layers_are_loaded_as_an_image_while_the_rest_is_built_and_the_store_keeps_none(built, impatient):
    engine, stored = Engine(), set(assemble.store().blob(built.digest).parent.iterdir())
    with load.Loader("tiny", engine).at_work() as loader:
        build(loader, built, engine, pulls=1)
        assert json.loads(engine.served)["layers"] == json.loads(manifest(built))["layers"][:1]
        assert loader.load(built) == built.digest
    assert engine.done == ["pull", "pull"] and engine.served == manifest(built)
    assert engine.forgotten == ["/parts/tiny@"]
    assert set(assemble.store().blob(built.digest).parent.iterdir()) == stored


def test_a_build_that_makes_no_layer_loads_no_part(built, impatient):
    engine = Engine()
    with load.Loader("tiny", engine).at_work() as loader:
        loader.load(built)
    assert engine.done == ["pull"] and engine.served == manifest(built)


def test_an_engine_that_cannot_reach_our_loopback_is_asked_for_one_part_alone(built, impatient):
    engine = Engine(reaches=False)
    with load.Loader("tiny", engine).at_work() as loader:
        build(loader, built, engine, pulls=1)
        loader.grown(read_image(assemble.store(), built.digest).layers)
        loader._worker.join(10)
        assert loader.load(built) == built.digest
    assert engine.done == ["pull", "pull", "load"]


def test_a_build_that_fails_ends_the_loading(built, impatient):
    with pytest.raises(SeedbedError, match="no room"), load.Loader("tiny", Engine()).at_work() as loader:
        raise SeedbedError("no room")
    loader._worker.join(10)
    assert not loader._worker.is_alive()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_engine_that_fails_meanwhile_is_no_traceback_and_is_asked_again_at_the_end(built, impatient):
    class Failing(Engine):
        def try_pull(self, name: str) -> str:
            self.done.append("pull")
            raise SeedbedError("no docker command on PATH")

    engine = Failing()
    with load.Loader("tiny", engine).at_work() as loader:
        build(loader, built, engine, pulls=1)
        loader._worker.join(10)
        with pytest.raises(SeedbedError, match="no docker command on PATH"):
            loader.load(built)
