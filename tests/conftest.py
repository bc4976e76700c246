"""Catalogs to break: copies of the tests' own, in a folder that vanishes."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from builder import paths
from builder.catalog import models
from builder.catalog.models import Catalog
from builder.image import recipe
from builder.image.recipe import Recipe

# nohup, and a shell with the tests in its background, have these ignored, by what tests start as well.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

WORKERS = 3
"""For each CPU: most tests wait for other processes."""


def pytest_xdist_auto_num_workers() -> int:
    return WORKERS * len(os.sched_getaffinity(0))


class SideBySide(LoadScopeScheduling):
    """Tests that use an engine or real images share a process by folder and by file; of the others each goes alone."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/integration/engine/"):
            return "engine"
        if nodeid.startswith(("tests/integration/", "tests/unit/")):
            return nodeid
        return nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide:
    return SideBySide(config, log)


TINY = paths.ROOT / "tests" / "images"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tests' catalog: `base` and `tiny`."""
    return Path(shutil.copytree(TINY, tmp_path / "images"))


@pytest.fixture
def load(folder: Path) -> Callable[[], Catalog]:
    return lambda: models.load(folder)


@pytest.fixture
def resolve(load: Callable[[], Catalog]) -> Callable[..., Recipe]:
    """The recipe of an image of the copied catalog, as that is now."""

    def resolve(name: str = "tiny") -> Recipe:
        loaded = load()
        return recipe.resolve(loaded, loaded.image(name))

    return resolve


@pytest.fixture
def edit(folder: Path) -> Callable[..., None]:
    """Replace a piece of a file of the copied catalog; a piece that is not there fails the test."""

    def edit(name: str, before: str, after: str) -> None:
        path = folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    return edit
