"""The image in the engine, in a registry and in a file is one image."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.image import output
from builder.publish import push as publish
from builder.reproduce import verify
from tests.bases import SharingTrial
from tests.conftest import TINY


def test_what_is_pulled_is_what_was_built_and_tested(cache, tested, recipe, repository, nothing_attached, docker, run):
    assert publish.push(recipe, None) == f"{repository}@{tested.digest}"
    name = f"{repository}:2.4.6-py311"
    pulled = run("docker", "pull", "--quiet", name)
    assert pulled.returncode == 0, pulled.stderr
    assert docker.digest(name) == tested.digest
    docker.remove(name)


def test_an_image_in_a_registry_is_pulled_and_reproduced(tiny, recipe, monkeypatch, docker, registry, run):
    monkeypatch.setattr(verify, "Trial", SharingTrial)
    name = f"{registry}/tiny:pushed"
    docker.tag(tiny.digest, name)
    assert run("docker", "push", "--quiet", name).returncode == 0
    docker.remove(name)
    verdict = verify.verify(recipe, TINY, connect=lambda: docker, against=name)
    docker.remove(name)
    assert verdict.comparison.digests["manifest"] == (tiny.digest, tiny.digest)


def test_a_name_that_the_registry_lacks_is_one_line(docker, recipe, registry):
    with pytest.raises(SeedbedError, match=rf"^{registry}/tiny:none: cannot be pulled: [^\n]+$"):
        verify.verify(recipe, TINY, connect=lambda: docker, against=f"{registry}/tiny:none")


@pytest.fixture
def archived(built, tmp_path) -> Path:
    """The tiny image as `build --output` writes it."""
    output.write(built, tmp_path / "tiny.tar")
    return tmp_path / "tiny.tar"


def diff(*arguments: str) -> tuple[int, dict, str]:
    """Status, data and last line of progress of `./build.py diff`."""
    command = [sys.executable, "build.py", "diff", *arguments, "--json"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), (done.stderr.splitlines() or [""])[-1]


def test_the_image_in_the_engine_is_that_of_the_archive_and_equals_what_the_engine_saves(tiny, archived, run, tmp_path):
    saved = tmp_path / "saved.tar"
    assert run("docker", "save", "--output", str(saved), tiny.digest).returncode == 0
    for other in (archived, saved):
        status, comparison, _ = diff(tiny.digest, str(other))
        assert (status, comparison["equal"], comparison["first_difference"]) == (0, True, None)


def test_an_image_that_was_made_from_another_differs_in_its_config(tiny, archived, run, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {tiny.tags[0]}\nENV SEEDBED_SEED=7\n")
    name = "seedbed-test/other-seed"
    assert run("docker", "buildx", "build", "--provenance=false", "--tag", name, str(tmp_path)).returncode == 0
    status, comparison, said = diff(str(archived), name)
    run("docker", "image", "rm", name)
    assert status == 1
    assert said == f"seedbed: {archived} and {name} differ, see above"
    env = next(each for each in comparison["differences"] if each["field"].startswith("config.Env"))
    assert (env["ours"], env["theirs"]) == ("SEEDBED_SEED=42", "SEEDBED_SEED=7")
