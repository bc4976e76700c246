"""`--base registry`: the recipe from its first stage on, with Debian from a registry on loopback."""

from pathlib import Path

import pytest

from builder.errors import SeedbedError
from builder.image import assemble, build, buildx, dockerfile
from builder.image.build import Options


@pytest.fixture
def debian_reference(registry, load, docker, log, run, tmp_path: Path) -> str:
    """Debian with its packages, pushed to the registry, as NAME@DIGEST."""
    base = next(iter(load().bases.values()))
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    context = assemble.base(base, locked=False, log=log).context("base", tmp_path)
    arguments = ["--build-context", context, "--provenance=false", "--output", buildx.OUTPUT, "."]
    digest = docker.build(arguments, folder=tmp_path, epoch=base.source_date_epoch).manifest
    name = f"{registry}/debian:bookworm"
    docker.tag(digest, name)
    pushed = run("docker", "push", "--quiet", name)
    assert pushed.returncode == 0, pushed.stderr
    return f"{registry}/debian@{digest}"


@pytest.fixture
def from_registry(load, folder):
    """The copied catalog with another image to take Debian from."""

    def from_registry(reference: str):
        path = folder / "base" / "image.yaml"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(f"registry: {reference}" if line.startswith("registry:") else line for line in lines))
        loaded = load()
        dockerfile.render(loaded, loaded.image("tiny")).write()
        return loaded

    return from_registry


def test_an_image_is_built_from_debian_in_a_registry(from_registry, debian_reference, docker, log):
    loaded = from_registry(debian_reference)
    built = build.build(loaded, loaded.image("tiny"), docker, Options(registry=True, recipe=True), log)
    assert docker.run(built.digest, ["python", "-c", "import numpy"]).status == 0
    info = docker.run(built.digest, ["seedbed", "info"])
    assert info.status == 0, info.stdout


def test_a_digest_that_the_registry_lacks_fails_the_build(from_registry, registry, docker, log):
    loaded = from_registry(f"{registry}/debian@sha256:{'0' * 64}")
    with pytest.raises(SeedbedError, match="the build failed"):
        build.build(loaded, loaded.image("tiny"), docker, Options(registry=True, recipe=True), log)
