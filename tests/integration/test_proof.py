"""docs/proof.md, command by command, in a copy of the checkout, with the tiny image and a registry on loopback."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builder import commands, environment, paths
from builder.oci.registry import Repository
from builder.publish import attest, push, statements
from tests import pages

PAGE = paths.ROOT / "docs" / "proof.md"


def in_words_of_the_tests(command: str) -> str:
    return command.replace("./build.py", "./build.py --catalog tests/images").replace("pytorch", "tiny")


@pytest.fixture
def clone(tmp_path) -> Path:
    """A copy of the working tree, as a repository with one commit."""
    ours = shutil.ignore_patterns(".git", ".venv", "__pycache__")
    clone = Path(shutil.copytree(paths.ROOT, tmp_path / "clone", symlinks=True, ignore=ours))
    commit(clone, "init", "--quiet")
    commit(clone, "add", "--all")
    commit(clone, "commit", "--quiet", "--message", "as it is")
    return clone


def commit(clone: Path, *words: str) -> None:
    done = commands.run(["git", "-C", str(clone), "-c", "user.name=x", "-c", "user.email=x@example.org", *words])
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_every_command_on_the_page_ends_well(cache, tested, repository, recipe, clone, monkeypatch):
    """Ann and Bob have only to have signed; whether they rebuilt the image is not asked here."""
    monkeypatch.setattr(statements, "revision", lambda: "2" * 40)
    published = Repository.of(repository)
    assert len(pages.commands(PAGE.read_text())) > 10
    environ = {
        **os.environ,
        "SEEDBED_VENV": str(environment.HOME),
        "SEEDBED_ENGINE": "none",
        "SEEDBED_REPOSITORY": repository.rpartition("/")[0],
        "DIGEST": push.push(recipe, None).partition("@")[2],
    }

    def run(command: str) -> subprocess.CompletedProcess[str]:
        return commands.run(["sh", "-c", in_words_of_the_tests(command)], cwd=clone, env=environ)

    assert run("./build.py build pytorch --record").returncode == 0
    for name in ("ann", "bob"):
        for command in (
            "mkdir -p keys",
            f"openssl genpkey -algorithm ed25519 -out {name}.key",
            f"openssl pkey -in {name}.key -pubout -out keys/{name}.pem",
        ):
            done = run(command)
            assert done.returncode == 0, f"{command}: {done.stderr}"
        attest.attach(published, environ["DIGEST"], attest.attest(recipe, environ["DIGEST"], clone / f"{name}.key"))
    for command in pages.commands(PAGE.read_text()):
        done = run(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
