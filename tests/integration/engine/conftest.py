"""A real engine for the tests of this folder, which run in one process."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import network
from builder.engine import client
from builder.engine.client import Engine
from builder.image.record import Record
from builder.smoke import smoke


@pytest.fixture(scope="session")
def docker() -> Engine:
    return client.connect()


@pytest.fixture(scope="session")
def tiny(built, recipe, docker) -> Record:
    """The tiny image, loaded and tested."""
    return smoke.test(recipe, docker, "auto")


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
