"""`diff`: its formats, and its exit status: 1 if two images differ, 0 for two states of the locks."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builder import paths
from builder.cli.changes import diff_
from builder.errors import SeedbedError, UsageError
from tests.layouts import Layouts, file


def run(*arguments: str | Path, catalog: Path = paths.IMAGES) -> Result:
    return CliRunner().invoke(diff_, [str(argument) for argument in arguments], obj=catalog)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two images that differ in a file."""
    image = Layouts(tmp_path)
    return image([file("opt/a", b"1")]), image([file("opt/a", b"22")])


def test_equal_images_are_one_line_and_status_0(pair):
    done = run(pair[0], pair[0])
    assert (done.exit_code, done.output.count("\n")) == (0, 1)
    assert done.output.startswith(f"{pair[0]} and {pair[0]} are the same image: sha256:")


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_images_that_differ_are_an_error_below_the_changelog(form, pair):
    done = run(*pair, "--format", form)
    assert isinstance(done.exception, SeedbedError) and done.exception.exit_status == 1
    assert "/opt/a" in done.output and "1 B → 2 B (+1 B)" in done.output


def test_text_ends_with_the_ladder_down_to_the_file(pair):
    assert run(*pair).output.splitlines()[-1] == "layer 1 (step 0): /opt/a: size: 1 | 2"


@pytest.mark.parametrize("option", [["--json"], ["--format", "json"]])
def test_json_has_the_ladder_and_the_changelog(option, pair):
    document = json.loads(run(*pair, *option).output)
    assert document["first_difference"]["where"] == "layer 1 (step 0): /opt/a"
    assert document["changelog"]["files"] == [{"path": "/opt/a", "before": 1, "after": 2}]
    assert json.loads(run(pair[0], pair[0], *option).output)["changelog"] is None


@pytest.fixture
def clone(tmp_path: Path, folder: Path) -> Path:
    """The tests' catalog in a repository of its own, with another wheel since the last commit."""
    author = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for arguments in (["init"], ["add", "."], [*author, "commit", "--message", "before"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    lock = folder / "tiny" / "requirements.lock"
    lock.write_text(lock.read_text().replace("numpy==2.4.6", "numpy==2.4.7"))
    return folder


@pytest.mark.parametrize("names", [["tiny"], []])
def test_locks_that_differ_are_status_0(names, clone):
    done = run("--locks", "HEAD", *names, catalog=clone)
    assert done.exit_code == 0
    assert "changed  numpy  2.4.6 → 2.4.7" in done.output


def test_locks_as_json_by_image(clone):
    [log] = json.loads(run("--locks", "HEAD", "--json", catalog=clone).output)["images"].values()
    assert log["wheels"] == [{"name": "numpy", "before": "2.4.6", "after": "2.4.7"}]


def test_what_two_images_have_in_common_is_told_once(clone):
    done = run("--locks", "HEAD", "tiny", "tiny", catalog=clone)
    assert done.output.count("2.4.6 → 2.4.7") == 1
    assert "Wheels: 1 changed, the same as of tiny" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected two images, found 0; or name a revision with --locks"),
        (["a", "b", "c"], "expected two images, found 3"),
        (["--locks", "HEAD", "--trace", "x"], "--trace runs two images"),
        (["--locks", "HEAD", "none"], "no image 'none'"),
        (["build.py", "b", "--trace", "x"], "build.py is a file here"),
    ],
)
def test_wrong_use_is_told(arguments, said, monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    done = run(*arguments)
    assert isinstance(done.exception, UsageError) and said in str(done.exception)
