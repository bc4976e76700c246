"""All that needs no engine works where there is none: no docker on PATH, none that answers, and none allowed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import paths
from builder.oci.registry import Repository
from builder.reproduce.variations import VARIATIONS
from builder.reproduce.verify import SAME, WARM


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH: this host's programs, but for Docker's."""
    folder = tmp_path / "programs"
    folder.mkdir()
    every = (path for place in reversed(os.get_exec_path()) if Path(place).is_dir() for path in Path(place).iterdir())
    for name, path in {path.name: path for path in every}.items():
        if not name.startswith(("docker", "containerd", "runc", "buildctl")):
            (folder / name).symlink_to(path)
    return folder


@pytest.fixture
def build_py(programs, cache, tmp_path) -> Callable[..., str]:
    """`./build.py` in a cache of its own on such a host; returns its stdout."""
    nowhere = {
        "PATH": str(programs),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "SEEDBED_ENGINE": "none",
        "SEEDBED_CACHE": str(cache.parent),
    }
    assert shutil.which("docker", path=str(programs)) is None

    def build_py(*arguments: str, expected: int = 0, **variables: str) -> str:
        command = [sys.executable, "build.py", "--catalog", "tests/images", *arguments]
        environment = {**os.environ, **nowhere, **variables}
        done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stderr
        return done.stdout if not expected else done.stderr

    return build_py


def test_an_image_is_built_listed_reported_compared_and_pushed(build_py, cache, built, repository, tmp_path):
    shutil.rmtree(cache / "records")
    build_py("build", "tiny", "--no-cache", "--output", str(tmp_path / "layout"))
    build_py("build", "tiny", "--output", str(tmp_path / "tiny.tar"))
    listed = json.loads(build_py("list", "--json"))["images"]["tiny"]
    assert listed["digest"] == built.digest
    reported = json.loads(build_py("report", "tiny", "--json"))["images"]["tiny"]
    assert (reported["digest"], {each["name"] for each in reported["packages"]} >= {"numpy", "bash"}) == (
        built.digest,
        True,
    )
    compared = json.loads(build_py("diff", str(tmp_path / "layout"), str(tmp_path / "tiny.tar"), "--json"))
    assert compared["equal"] and compared["digests"]["manifest"] == [built.digest] * 2
    place = repository.removesuffix("/tiny")
    assert build_py("push", "tiny", SEEDBED_REPOSITORY=place) == f"{repository}@{built.digest}\n"
    assert Repository.of(repository).digest(built.digest) == built.digest


@pytest.mark.long
def test_on_what_looks_like_another_machine_the_digest_is_the_same(build_py, built):
    """With no cache but for downloads: the base is made from its packages."""
    verdict = json.loads(build_py("verify", "tiny", "--vary", "--json"))
    assert verdict["differences"] == []
    assert verdict["equal"]
    assert verdict["digests"]["manifest"] == [built.digest] * 2
    assert verdict["variations"] == dict.fromkeys([*VARIATIONS, WARM], SAME)


def test_what_needs_an_engine_says_so_in_one_line(build_py, built):
    for line in ("smoke tiny", "build tiny --recipe", f"diff {built.digest} {built.digest}"):
        said = build_py(*line.split(), expected=1).splitlines()
        assert "SEEDBED_ENGINE=none forbids one" in said[-1]
