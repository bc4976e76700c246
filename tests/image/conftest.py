"""The real images as `make images` left them: built, tested, tagged."""

from collections.abc import Callable, Iterator

import pytest

from builder import build, catalog, engine, paths
from builder.catalog import Catalog
from builder.engine import Engine
from builder.record import Record

IMAGES = sorted(catalog.load(paths.IMAGES).images)


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    ran_before = engine.embedded().running()
    connected = engine.connect(print)
    yield connected
    if connected.embedded and not ran_before:
        engine.embedded().down()


@pytest.fixture(scope="session")
def real() -> Catalog:
    return catalog.load(paths.IMAGES)


@pytest.fixture(scope="session")
def record_of(real, docker) -> Callable[[str], Record]:
    """The record of an image's build; the test fails where `make images` has not been run."""

    def record_of(name: str) -> Record:
        found = build.find(real, real.image(name))
        assert found and found.tags and docker.has(found.digest), f"{name} is not built and tested: run make images"
        return found

    return record_of
