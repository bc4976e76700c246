"""Two images in an engine: what changed between them, and whether a training still has the same bits."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import paths

pytestmark = pytest.mark.long

DERIVED = "seedbed-test/derived"
DRAWS = "import numpy\nfor step in range(3):\n    print('loss', numpy.random.default_rng().random())\n"
CLOCK = "import time\nprint('loss', hash(time.time_ns()))\n"


@pytest.fixture
def derive(tiny, docker, run, tmp_path: Path):
    """Build an image on top of the tiny one, by these lines of a Dockerfile."""

    def derive(*lines: str) -> str:
        (tmp_path / "Dockerfile").write_text("\n".join([f"FROM {tiny.tags[0]}", *lines, ""]))
        built = run("docker", "buildx", "build", "--load", "--provenance=false", "--tag", DERIVED, str(tmp_path))
        assert built.returncode == 0, built.stderr
        return DERIVED

    yield derive
    docker.remove(DERIVED)


@pytest.fixture
def diff(tiny, docker, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`./build.py diff` of the tiny image and another, with a script to trace."""
    (tmp_path / "train").mkdir()

    def diff(other: str, code: str = "", *options: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "train" / "train.py").write_text(code)
        trace = ["--trace", str(tmp_path / "train" / "train.py")] if code else []
        command = [sys.executable, "build.py", "diff", tiny.tags[0], other, *trace, *options]
        environment = dict(docker.environment)
        return subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)

    return diff


def test_another_seed_changes_env_and_the_first_number(derive, diff):
    done = diff(derive("ENV SEEDBED_SEED=7"), DRAWS, "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert document["changelog"]["environment"] == [{"name": "SEEDBED_SEED", "before": "42", "after": "7"}]
    assert (document["changelog"]["files"], document["changelog"]["layers"]["before"]) == ([], 0)
    assert document["trace"]["name"].startswith("line 1 of the output: ")


def test_control_a_variable_that_does_not_matter_changes_no_number(derive, diff):
    done = diff(derive("ENV UNRELATED=7"), DRAWS)
    assert done.returncode == 1
    assert "added  UNRELATED  7" in done.stdout
    assert "No difference in what 2 runs printed." in done.stdout


def test_a_training_that_never_repeats_is_not_blamed_on_the_image(derive, diff):
    done = diff(derive("ENV UNRELATED=7"), CLOCK)
    assert done.returncode == 1
    assert "two runs of the training in this image differ" in done.stderr.splitlines()[-1]


def test_a_file_that_a_later_image_has_or_lacks_is_named(derive, diff, tmp_path):
    (tmp_path / "data").write_text("x" * 1000)
    done = diff(derive("COPY data /opt/data"))
    assert "added  /opt/data  1 kB" in done.stdout
    assert "Debian packages" in next(line for line in done.stdout.splitlines() if line.startswith("Nothing changed in"))
