"""The tiny image, built without an engine; what needs one is in the folder `engine`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import loopback
from builder import files, paths, scratch
from builder.catalog import models
from builder.debian import archive
from builder.engine import client
from builder.engine.client import Engine
from builder.image import build
from builder.image import recipe as recipes
from builder.image.build import Options
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.image.tags import tags_of
from builder.outcomes import Result
from builder.publish import push
from builder.reproduce import verify
from tests.bases import ALL_BUT_THE_BASE, SharingTrial
from tests.conftest import TINY

RAN_BEFORE = pytest.StashKey[bool]()
DOWNLOADS = ("wheels", "packages", "apt")
BUILT = ("blobs", "layers", "records")


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[RAN_BEFORE] = client.embedded().running()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """An engine that the tests started, they stop: when the last worker of pytest-xdist is done."""
    a_worker = hasattr(session.config, "workerinput")
    if not (a_worker or session.stash.get(RAN_BEFORE, True)):
        client.embedded().down()


def no_engine() -> Engine:
    raise AssertionError("this asks for an engine, and should need none")


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    loaded = models.load(TINY)
    return recipes.resolve(loaded, loaded.image("tiny"))


@pytest.fixture(scope="session")
def built(recipe, tmp_path_factory) -> Record:
    """The tiny image, built in the user's own cache, without an engine, by one of the processes that run tests."""
    with files.locked(tmp_path_factory.getbasetemp().parent / "tiny.lock"):
        return build.build(recipe, Options(locked=True), no_engine)


@pytest.fixture
def cache(built) -> Iterator[Path]:
    """A cache of the test's own, in which the tiny image is built and not tested."""
    with own_cache(built) as cache:
        yield cache


@contextmanager
def own_cache(built: Record) -> Iterator[Path]:
    """A cache whose files are hard links into the user's own."""
    theirs = paths.cache()
    with scratch.folder(theirs) as folder, pytest.MonkeyPatch.context() as patch:
        ours = folder / theirs.name
        for name in BUILT:
            unfinished = shutil.ignore_patterns(".writing-*", "*.partial*")
            shutil.copytree(theirs / name, ours / name, copy_function=linked, ignore=unfinished)
        for name in DOWNLOADS:
            (theirs / name).mkdir(exist_ok=True)
            (ours / name).symlink_to(theirs / name)
        patch.setenv("SEEDBED_CACHE", str(folder))
        built.model_copy(update={"smoke": (), "tags": ()}).save()
        yield ours


def linked(source: str, target: str) -> None:
    """A hard link, to a file that others may replace meanwhile: none if it is gone."""
    if Path(source).exists():
        Path(target).hardlink_to(source)


@pytest.fixture
def tested(cache, built, recipe) -> Record:
    """The record of the tiny image in the test's own cache as `smoke` leaves it."""
    passed = Result(check="it passes", outcome="passed", seconds=0)
    record = built.model_copy(update={"smoke": (passed,), "full": True, "tags": tags_of(recipe.image, built)})
    record.save()
    return record


@pytest.fixture
def trial(built, recipe) -> Iterator[SharingTrial]:
    """Rebuilds of the tiny image, to be compared with it; the base is not made again."""
    with scratch.folder(paths.cache()) as folder:
        yield SharingTrial(recipe, TINY, verify.expected(recipe), folder, ALL_BUT_THE_BASE)


@pytest.fixture(scope="session")
def registry_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of Debian's package docker-registry, which is not installed."""
    if reason := archive.host_supported():
        pytest.skip(f"no registry to be had here: {reason}")
    return loopback.unpack_registry(tmp_path_factory.mktemp("docker-registry"))


@pytest.fixture(scope="session")
def registry(registry_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback."""
    with loopback.running(registry_program, tmp_path_factory.mktemp("registry") / "registry") as running:
        yield running.address


@pytest.fixture
def repository(registry, request, monkeypatch) -> str:
    """A place in the registry that this test has to itself."""
    place = f"{registry}/{request.node.name.partition('@')[0].replace('_', '-')}"
    monkeypatch.setenv("SEEDBED_REPOSITORY", place)
    return f"{place}/tiny"


@pytest.fixture
def nothing_attached(monkeypatch) -> None:
    """Pushes send the image alone; to make an SBOM takes longer than to send the tiny image."""
    monkeypatch.setattr(push, "ATTACHED", ())
