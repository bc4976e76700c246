"""What images weigh: each layer with those who share it, the largest packages, and a budget that fails."""

import hashlib
import json
from pathlib import Path

import pytest

from builder.catalog.image import SizeBudget
from builder.cli import show
from builder.errors import SeedbedError
from builder.image import assemble, build
from builder.image.recipe import resolve_all
from builder.image.record import LayerRecord, Record
from builder.oci.tar import file, write_layer

STATUS = b"""\
Package: tzdata
Status: install ok installed
Installed-Size: 2
Version: 2026a

Package: gcc
Version: 12
Installed-Size: 1000
"""


@pytest.fixture
def built(folder, tmp_path, monkeypatch):
    """The copied catalog with two images built, which share their Debian."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    (folder / "other").mkdir()
    for name in ("image.yaml", "requirements.in", "requirements.lock", "Dockerfile"):
        (folder / "other" / name).write_bytes((folder / "tiny" / name).read_bytes())
    status = file("var/lib/dpkg/status", STATUS)
    debian = write_layer(assemble.store(), [status], epoch=0, level=1, what="Debian")
    for recipe in resolve_all(folder, ()):
        layers = [
            LayerRecord(digest=debian.descriptor.digest, size=100_000_000, what="Debian", raw_size=300_000_000),
            LayerRecord(digest=digest(recipe.name), size=50_000_000, what=f"wheels of {recipe.name}"),
        ]
        Record(
            image=recipe.name, inputs=build.inputs_of(recipe), lock="", digest=digest("1"), config=digest("2"),
            layers=layers, unpacked=400_000_000, seconds=1,
        ).save()  # fmt: skip
    return folder


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def weigh(root: Path, *arguments: str) -> None:
    show.report_.main([*arguments], obj=root, standalone_mode=False)


def report(root: Path, capsys, *names: str) -> dict:
    weigh(root, "--json", *names)
    return json.loads(capsys.readouterr().out)["images"]


def test_each_layer_says_who_shares_it(built, capsys):
    debian, wheels = report(built, capsys, "tiny")["tiny"]["layers"]
    assert (debian["shared_with"], debian["raw_size"]) == (["other"], 300_000_000)
    assert (wheels["shared_with"], wheels["raw_size"]) == ([], None)


def test_what_an_image_adds_to_the_others_is_its_own(built, capsys):
    """Control: Debian's 100 MB, which the other image has too, are not among them."""
    assert report(built, capsys, "tiny")["tiny"]["own"] == {"compressed": 50_000_000, "unpacked": 0}
    weigh(built, "tiny")
    assert "its own 50 MB, 0 B unpacked; the rest is shared with other\n" in capsys.readouterr().out


def test_another_image_whose_lock_is_stale_is_none_that_is_built(built, edit, capsys):
    edit("other/requirements.in", "numpy\n", "numpy\nsix\n")
    assert report(built, capsys, "tiny")["tiny"]["own"] == {"compressed": 150_000_000, "unpacked": 300_000_000}


def test_packages_come_largest_first_and_with_their_origin(built, capsys):
    packages = report(built, capsys, "tiny")["tiny"]["packages"]
    assert [(package["name"], package["origin"], package["size"]) for package in packages] == [
        ("gcc", "debian", 1_024_000),
        ("tzdata", "debian", 2048),
    ]


def test_people_get_a_page(built, capsys):
    weigh(built, "tiny")
    printed = capsys.readouterr().out
    for expected in ("150 MB of 200 MB allowed", "100 MB  300 MB    other", "wheels of tiny", "gcc"):
        assert expected in printed


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("compressed: 200MB", "compressed: 149MB", r"size_budget\.compressed: allows 149 MB, the image has 150 MB"),
        ("unpacked: 700MB", "unpacked: 399MB", r"size_budget\.unpacked: allows 399 MB, the image has 400 MB"),
        ("unpacked: 700MB", "unpacked: 700MB\n  layer: 299MB", r"size_budget\.layer: allows 299 MB, .* 300 MB"),
    ],
)
def test_an_image_over_its_budget_fails_after_it_was_shown(built, edit, capsys, before, after, complaint):
    edit("tiny/image.yaml", before, after)
    with pytest.raises(SeedbedError, match=complaint):
        weigh(built, "tiny", "--json")
    assert json.loads(capsys.readouterr().out)["images"]["tiny"]["compressed"] == 150_000_000


def test_no_layer_is_above_one_and_a_half_gigabytes_unless_image_yaml_says_so(load):
    assert SizeBudget(compressed=1, unpacked=1).layer == 1_500_000_000


def test_an_image_that_is_not_built_says_what_to_type(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "empty"))
    with pytest.raises(SeedbedError, match=r"tiny: not built; run ./build.py build tiny"):
        weigh(folder, "--json")
