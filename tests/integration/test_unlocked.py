"""A locked Debian package that can no longer be had: the image is built all the same, and says so everywhere."""

import re

import pytest

from builder.debian import bootstrap
from builder.errors import SeedbedError
from builder.image import build, dockerfile, listing
from builder.image.build import Options
from builder.smoke import smoke

pytestmark = pytest.mark.skipif(bootstrap.unfit() is not None, reason=f"no Debian here: {bootstrap.unfit()}")


@pytest.fixture
def drifted(folder, load, monkeypatch):
    """The copied catalog, with a version of tzdata in its lock that no archive has."""
    monkeypatch.setenv("SEEDBED_SNAPSHOT", "http://127.0.0.1:1")
    path = folder / "base" / "packages.lock"
    text, changes = re.subn(
        r"^tzdata=\S+ sha256:\w+ (\d+) (\S+)/tzdata_\S+$",
        rf"tzdata=1999z-1 sha256:{'0' * 64} \1 \2/tzdata_1999z-1_all.deb",
        path.read_text(),
        flags=re.MULTILINE,
    )
    assert changes == 1
    path.write_text(text)
    loaded = load()
    dockerfile.render(loaded, loaded.image("tiny")).write()
    return loaded


def test_a_locked_build_refuses_and_names_the_package(drifted, docker, log):
    with pytest.raises(SeedbedError, match=r"dropped tzdata=1999z-1"):
        build.build(drifted, drifted.image("tiny"), docker, Options(locked=True), log)


def test_any_other_build_goes_on_and_marks_the_image_as_unlocked(drifted, docker, log, capsys):
    image = drifted.image("tiny")
    built = build.build(drifted, image, docker, Options(), log)
    assert not built.locked
    [moved] = built.moved
    assert moved.startswith("tzdata: 1999z-1 -> ")
    labels = docker.client.images.get(built.digest).labels
    assert labels["io.seedbed.unlocked"] == moved
    assert smoke.tags_of(image, built) == ("seedbed/tiny:2.4.6-py311",)
    listing.print_summaries({"tiny": listing.summary(drifted, image, built)})
    printed = capsys.readouterr().out
    assert "(unlocked)" in printed and f"tiny: unlocked: {moved}" in printed
    with pytest.raises(SeedbedError, match=r"dropped tzdata=1999z-1"):
        build.build(drifted, image, docker, Options(locked=True), log)
