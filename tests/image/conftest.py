"""The real images as `make images` left them: built, tested, tagged."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

import pytest

from builder import paths
from builder.catalog import models
from builder.catalog.models import Catalog
from builder.engine import client
from builder.engine.client import Engine, Running
from builder.image import build
from builder.image import recipe as recipes
from builder.image.contents import ENTRYPOINT
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.lock import programs as locks
from builder.lock.programs import field_cases
from builder.outcomes import Finished
from builder.smoke import programs

FIELD = "/field"
IMAGES = sorted(image.name for image in models.load(paths.IMAGES).select((), default=True))
"""Those of `make images`. Another one of the same framework can be tested in the place of one of them (INSTEAD)."""
INSTEAD = dict(pair.split("=") for pair in os.environ.get("SEEDBED_TEST_INSTEAD", "").split())
"""`SEEDBED_TEST_INSTEAD=pytorch=pytorch-cuda13` tests that image wherever a test says `pytorch`."""

RAN_BEFORE = pytest.StashKey[bool]()


def pytest_xdist_auto_num_workers() -> int:
    """These compute as much as they can."""
    return len(os.sched_getaffinity(0))


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[RAN_BEFORE] = client.embedded().running()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """An engine that the tests started, they stop: when the last worker of pytest-xdist is done."""
    a_worker = hasattr(session.config, "workerinput")
    if not (a_worker or session.stash.get(RAN_BEFORE, True)):
        client.embedded().down()


@pytest.fixture(scope="session")
def docker() -> Engine:
    return client.connect()


@pytest.fixture(scope="session")
def real() -> Catalog:
    return models.load(paths.IMAGES)


@pytest.fixture(scope="session")
def recipe_of(real) -> Callable[[str], Recipe]:
    return cache(lambda name: recipes.resolve(real, real.image(INSTEAD.get(name, name))))


@pytest.fixture(scope="session")
def record_of(recipe_of, docker) -> Callable[[str], Record]:
    """The record of an image's build; the test fails where `make images` has not been run."""

    def record_of(name: str) -> Record:
        found = build.find(recipe_of(name))
        assert found and found.tags and docker.has(found.digest), f"{name} is not built and tested: run make images"
        return found

    return record_of


@dataclass(frozen=True)
class Field:
    """A container of an image with the field's cases (at /field) and the packages that they need."""

    container: Running

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None, user: str = "") -> Finished:
        """Run a command in it as `docker run` would: behind the image's entrypoint."""
        return self.container.run([ENTRYPOINT[-1], *command], environment=environment, user=user)

    def outputs(self, count: int, command: Sequence[str], environment: Mapping[str, str] | None = None) -> list[str]:
        """What a command prints in fresh processes; it has to succeed in each."""
        runs = [self.run(command, environment) for _ in range(count)]
        assert not (failed := [run.stderr for run in runs if run.status]), failed[0]
        return [run.stdout for run in runs]


@pytest.fixture(scope="session")
def field(recipe_of, record_of, docker) -> Iterator[Callable[[str], Field]]:
    """`field("pytorch")`: one container for the whole session, made when the first test asks for it."""
    started: dict[str, Field] = {}
    with ExitStack() as containers:

        def field(name: str) -> Field:
            if name not in started:
                cases, wheels = field_cases(recipe_of(name).image), recipe_of(name).wheels
                installed = programs.installed(docker, record_of(name).digest, cases, wheels, FIELD, shm_size="256m")
                started[name] = Field(containers.enter_context(installed))
            return started[name]

        yield field


@pytest.fixture(scope="session")
def with_packages(recipe_of, record_of, docker) -> Iterator[Running]:
    """A container of the PyTorch image with transformers, accelerate and Lightning."""
    recipe, digest = recipe_of("pytorch"), record_of("pytorch").digest
    with programs.installed(docker, digest, locks.of(recipe.image), recipe.wheels) as made:
        yield made
