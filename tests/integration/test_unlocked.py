"""A locked Debian package that can no longer be had: the image is built all the same, and says so everywhere."""

import re

import pytest

from builder.debian import bootstrap
from builder.errors import SeedbedError
from builder.image import assemble, build, digest, dockerfile, listing
from builder.image.build import Options
from builder.image.tags import tags_of
from builder.reproduce import diff
from tests.integration.conftest import no_engine

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bootstrap.trouble() is not None, reason=f"no Debian here: {bootstrap.trouble()}"),
]


@pytest.fixture
def drifted(cache, folder, resolve, monkeypatch):
    """The copied recipe, with a version of tzdata in its lock that no archive has."""
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
    recipe = resolve()
    recipe.image.dockerfile_path.write_text(dockerfile.render(recipe))
    return recipe


def test_a_build_goes_on_and_marks_the_image_as_unlocked_and_a_locked_build_refuses(drifted, capsys):
    built = build.build(drifted, Options(), no_engine)
    assert not built.locked
    [substituted] = built.substituted
    assert substituted.startswith("tzdata: 1999z-1 -> ")
    assert diff.of_store(assemble.store(), built.digest).labels["io.seedbed.unlocked"] == substituted
    assert tags_of(drifted.image, built) == ("seedbed/tiny:2.4.6-py311",)
    with pytest.raises(SeedbedError, match="has no digest of record"):
        digest.write(drifted, built)
    listing.print_summaries({"tiny": listing.summary(drifted, built)})
    printed = capsys.readouterr().out
    assert "(unlocked)" in printed and f"tiny: unlocked: {substituted}" in printed
    with pytest.raises(SeedbedError, match=r"dropped tzdata=1999z-1"):
        build.build(drifted, Options(locked=True), no_engine)
