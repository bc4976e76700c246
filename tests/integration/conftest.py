"""A real engine for the tests, and the tiny image built in it. An engine that the tests started, they stop."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder import build, catalog, engine, network, smoke
from builder.build import Options
from builder.engine import Engine
from builder.record import Record
from tests.conftest import TINY


@pytest.fixture(scope="session")
def log() -> Callable[[str], None]:
    return lambda message: print(message)


@pytest.fixture(scope="session")
def docker(log) -> Iterator[Engine]:
    ran_before = engine.embedded().running()
    connected = engine.connect(log)
    yield connected
    if connected.embedded and not ran_before:
        engine.embedded().down()


@pytest.fixture(scope="session")
def tiny(docker, log) -> Record:
    """The tiny image, built and tested."""
    loaded = catalog.load(TINY)
    image = loaded.image("tiny")
    build.build(loaded, image, docker, Options(), log)
    return smoke.test(loaded, image, docker, "auto", log)


@pytest.fixture
def run(docker) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The engine's own client: `run("docker", "build", ".")` with what a build needs to reach packages."""

    def run(*command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        merged = {**docker.environment, **environment}
        return subprocess.run(command, cwd=cwd, env=merged, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def trust() -> list[str]:
    """What `docker build` needs so that a step can verify this host's certificate authorities."""
    bundle = network.ca_bundle()
    return ["--secret", f"id=ca-bundle,src={bundle}"] if bundle else []
