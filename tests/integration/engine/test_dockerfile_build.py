"""The Dockerfile build: BuildKit makes of the Dockerfile what Seedbed assembles, on its own base or on a registry's."""

import re
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.image import assemble, build, buildx, dockerfile
from builder.image.build import Options
from builder.reproduce import diff
from tests.trees import differences, tree_of

DIFFERENT_BY_NATURE = re.compile(
    r"/__pycache__(/|$)"  # bytecode: ours is compiled file by file
    r"|\.dist-info/(INSTALLER|REQUESTED|RECORD)$"  # notes of the installer
    r"|^/opt/venv/bin/(f2py|numpy-config|pip|pip3|pip3\.11)$"  # launchers: `installer` words them otherwise than uv
)
BUILDKITS_OWN = ("ArgsEscaped",)  # of Windows, and deprecated
DOCKERFILE = Options(dockerfile=True)


@pytest.fixture(scope="session")
def of_dockerfile(recipe, docker) -> diff.Image:
    return docker.read(build.build(recipe, DOCKERFILE, lambda: docker).digest)


@pytest.fixture(scope="session")
def assembled(built) -> diff.Image:
    return diff.of_store(assemble.store(), built.digest)


def test_it_has_the_same_files(assembled, of_dockerfile):
    ours, theirs = (tree_of(image, leave_out=DIFFERENT_BY_NATURE) for image in (assembled, of_dockerfile))
    assert len(ours) > 5000
    assert differences(ours, theirs) == []


def test_it_has_the_same_environment_labels_user_entrypoint_command_and_working_folder(assembled, of_dockerfile):
    ours, theirs = (image.config["config"] for image in (assembled, of_dockerfile))
    assert ours.keys() == {"Env", "Labels", "User", "Entrypoint", "Cmd", "WorkingDir"}
    assert ours == {name: value for name, value in theirs.items() if name not in BUILDKITS_OWN}


def test_an_attestation_which_would_make_an_index_of_the_image_stops_the_build(recipe, docker, monkeypatch):
    """Control: without `--provenance=false` BuildKit adds one."""
    run = Engine.build

    def with_attestation(engine, arguments, **options):
        return run(
            engine, [each for each in arguments if each not in ("--provenance=false", "--sbom=false")], **options
        )

    monkeypatch.setattr(Engine, "build", with_attestation)
    with pytest.raises(SeedbedError, match=r"expected one image, .* found \S+, an index") as stopped:
        buildx.run(recipe, docker, assemble.base(recipe, locked=True)[0])
    docker.remove(re.findall(r"sha256:\w+", str(stopped.value))[0])


@pytest.fixture
def debian_reference(registry, recipe, docker, run, tmp_path: Path) -> str:
    """Debian with its packages, pushed to the registry, as NAME@DIGEST."""
    (tmp_path / "Dockerfile").write_text("FROM base\n")
    context = buildx.context(recipe, assemble.base(recipe, locked=True)[0], tmp_path / "base")
    arguments = ["--build-context", f"base={context}", "--provenance=false", "--output", buildx.OUTPUT, "."]
    digest = docker.build(arguments, folder=tmp_path, epoch=recipe.epoch).manifest
    name = f"{registry}/debian:bookworm"
    docker.tag(digest, name)
    pushed = run("docker", "push", "--quiet", name)
    assert pushed.returncode == 0, pushed.stderr
    return f"{registry}/debian@{digest}"


@pytest.fixture
def from_registry(resolve, folder):
    """The copied recipe with another image to take Debian from."""

    def from_registry(reference: str):
        path = folder / "base" / "image.yaml"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(f"registry: {reference}" if line.startswith("registry:") else line for line in lines))
        changed = resolve()
        changed.image.dockerfile_path.write_text(dockerfile.render(changed))
        return changed

    return from_registry


@pytest.mark.long
def test_an_image_is_built_from_debian_in_a_registry(from_registry, debian_reference, docker):
    recipe = from_registry(debian_reference)
    built = build.build(recipe, Options(dockerfile=True, registry=True), lambda: docker)
    assert docker.run(built.digest, ["python", "-c", "import numpy"]).status == 0
    info = docker.run(built.digest, ["seedbed", "info"])
    assert info.status == 0, info.stdout


def test_a_digest_that_the_registry_lacks_fails_the_build(from_registry, registry, docker):
    recipe = from_registry(f"{registry}/debian@sha256:{'0' * 64}")
    with pytest.raises(SeedbedError, match="the build failed"):
        build.build(recipe, Options(dockerfile=True, registry=True), lambda: docker)
