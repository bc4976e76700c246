"""An image extended with FROM keeps its guarantees, and its locked versions."""

from pathlib import Path

import pytest

DRAW = "import random, numpy; print(random.random(), numpy.random.default_rng().random())"

DOCKERFILE = """\
FROM {image}
USER 0:0
RUN --mount=type=secret,id=ca-bundle,target=/etc/ssl/certs/ca-certificates.crt pip install --no-cache-dir {package}
USER 1000:1000
COPY draw.py .
CMD ["python", "draw.py"]
"""


@pytest.fixture
def extend(tiny, docker, run, trust, tmp_path: Path):
    """Build an image on top of the tiny one, with one more package."""

    def extend(package: str):
        (tmp_path / "draw.py").write_text(DRAW)
        (tmp_path / "Dockerfile").write_text(DOCKERFILE.format(image=tiny.tags[0], package=package))
        return run("docker", "buildx", "build", "--tag", "seedbed-test/extended", *trust, str(tmp_path))

    yield extend
    docker.remove("seedbed-test/extended")


def test_what_is_installed_on_top_is_there_and_still_seeded(extend, docker, tiny):
    built = extend("six")
    assert built.returncode == 0, built.stderr
    extended = "seedbed-test/extended"
    assert docker.run(extended, ["python", "-c", "import six"]).status == 0
    first, again = (docker.run(extended, ["python", "draw.py"]).stdout for _ in range(2))
    assert first == again == docker.run(tiny.digest, ["python", "-c", DRAW]).stdout
    assert first != docker.run(extended, ["python", "draw.py"], environment={"SEEDBED_SEED": "7"}).stdout
    assert first != docker.run(extended, ["python", "draw.py"], environment={"SEEDBED_MODE": "off"}).stdout


def test_a_package_that_would_replace_a_locked_version_is_refused(extend):
    refused = extend("'numpy<2'")
    assert refused.returncode != 0
    assert "numpy==2.4.6" in refused.stderr
