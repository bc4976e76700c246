"""A real engine for the tests, and the tiny image built in it. An engine that the tests started, they stop."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import loopback
from builder import network, paths, scratch
from builder.catalog import models
from builder.debian import archive
from builder.engine import client
from builder.engine.client import Engine
from builder.image import assemble, build
from builder.image.build import Options
from builder.image.record import Record
from builder.reproduce import verify
from builder.reproduce.verify import Trial
from builder.smoke import smoke
from tests.bases import base_files
from tests.conftest import TINY


@pytest.fixture(scope="session")
def log() -> Callable[[str], None]:
    return lambda message: print(message)


@pytest.fixture(scope="session")
def docker(log) -> Iterator[Engine]:
    ran_before = client.embedded().running()
    connected = client.connect(log)
    yield connected
    if connected.embedded and not ran_before:
        client.embedded().down()


@pytest.fixture(scope="session")
def tiny(docker, log) -> Record:
    """The tiny image, built and tested."""
    loaded = models.load(TINY)
    image = loaded.image("tiny")
    build.build(loaded, image, docker, Options(), log)
    return smoke.test(loaded, image, docker, "auto", log)


@pytest.fixture
def trial(tiny, docker) -> Iterator[Trial]:
    """Rebuilds of the tiny image, to be compared with it."""
    loaded = models.load(TINY)
    image = loaded.image("tiny")
    reference = verify.last_build(loaded, image, docker)
    with scratch.folder(paths.cache()) as folder:
        yield Trial(loaded, image, docker, reference, folder, docker.digests(), keep=False)


@pytest.fixture
def bring_base(trial) -> Callable[[Path], None]:
    """Put the base's layer into an empty cache: to make it takes most of a rebuild."""

    def bring_base(cache: Path) -> None:
        store = assemble.store()
        files = base_files(trial.catalog, trial.image, store)
        assert files
        for path in files:
            target = cache / path.relative_to(store.root)
            target.parent.mkdir(parents=True)
            target.hardlink_to(path)

    return bring_base


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


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback, from Debian's package docker-registry, which is not installed."""
    if reason := archive.host_supported():
        pytest.skip(f"no registry to be had here: {reason}")
    folder = tmp_path_factory.mktemp("registry")
    with loopback.running(loopback.unpack_registry(folder), folder / "registry") as running:
        yield running.address
