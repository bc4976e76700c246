"""The base's lock: what it says, and when it is stale; no network, no root and no Debian host is needed here."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import zstandard

from builder.catalog import models, source
from builder.catalog.models import Base
from builder.debian import bootstrap
from builder.errors import SeedbedError, UsageError
from builder.lock import packages, toolchain
from builder.oci import tar
from builder.paths import IMAGES
from tests.archives import DATE, MMDEBSTRAP, TINI, FakeArchive, edited


@pytest.fixture
def model(tmp_path: Path) -> Base:
    return edited(tmp_path, "", "")


@pytest.fixture
def lock(model: Base, monkeypatch: pytest.MonkeyPatch) -> packages.Lock:
    """The lock of what the archive holds, beside image.yaml."""
    monkeypatch.setattr(packages, "archive_of", lambda model: FakeArchive())
    lock = packages.make(model, DATE)
    packages.write(model, lock)
    return lock


def test_a_lock_reads_as_it_was_written(model: Base, lock: packages.Lock) -> None:
    assert packages.check(model) == lock
    assert lock.version("tini") == "0.19.0-1"


def test_a_lock_is_one_package_a_line_sorted_and_names_no_host(model: Base, lock: packages.Lock) -> None:
    text = model.lock_path.read_text()
    entries = [line for line in text.splitlines() if not line.startswith("#")]
    assert [entry.partition("=")[0] for entry in entries] == ["libc6", "python3", "tini"]
    assert entries[2] == f"tini=0.19.0-1 sha256:{TINI.sha256} 1000 pool/main/x/tini_0.19.0-1_amd64.deb"
    assert "://" not in text


def test_the_lock_says_when_and_with_which_mmdebstrap_it_was_made(model: Base, lock: packages.Lock) -> None:
    text = model.lock_path.read_text()
    assert f"# date: {DATE}\n" in text
    assert f"# installed by: mmdebstrap=1.3.5-7 sha256:{MMDEBSTRAP.sha256}" in text


def test_the_lock_says_what_writes_the_layers(model: Base, lock: packages.Lock) -> None:
    written_by = f"# written by: format {tar.FORMAT}, installer {version('installer')}, zstandard "
    assert written_by in model.lock_path.read_text()


@pytest.mark.parametrize("part", ["format", "level", "installer", "zstandard", "zstd", "recipe"])
def test_another_writer_makes_the_lock_stale_and_both_are_named(
    model: Base, lock: packages.Lock, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: without this line a new zstandard would change every digest under an unchanged lock."""
    before = toolchain.identity()
    monkeypatch.setattr(tar, "FORMAT", 99 if part == "format" else tar.FORMAT)
    monkeypatch.setattr(toolchain, "LEVEL", 19 if part == "level" else toolchain.LEVEL)
    monkeypatch.setattr(toolchain, "version", lambda name: "99" if name == part else version(name))
    monkeypatch.setattr(zstandard, "ZSTD_VERSION", (99, 0, 0) if part == "zstd" else zstandard.ZSTD_VERSION)
    monkeypatch.setattr(bootstrap, "RECIPE", "another" if part == "recipe" else bootstrap.RECIPE)
    with pytest.raises(
        SeedbedError, match=r"packages\.lock: its layers are written by .*run \./build\.py lock"
    ) as stale:
        packages.check(model)
    assert f"by the toolchain {before}; this checkout has {toolchain.identity()};" in str(stale.value)
    assert toolchain.identity() != before


@pytest.mark.parametrize(
    ("old", "new"), [("suite: bookworm", "suite: trixie"), ("[python3, tini]", "[python3]")], ids=["suite", "packages"]
)
def test_a_lock_whose_inputs_changed_is_stale_and_the_error_says_what_to_type(
    tmp_path: Path, lock: packages.Lock, old: str, new: str
) -> None:
    with pytest.raises(SeedbedError, match=r"packages\.lock: stale.*run \./build\.py lock debian$"):
        packages.check(edited(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [("[python3, tini]", "[tini, python3]"), ("epoch: 2025", "epoch: 2024"), ("debian:book", "mirror/debian:book")],
    ids=["order", "epoch", "registry"],
)
def test_a_lock_outlives_what_does_not_decide_its_packages(
    tmp_path: Path, lock: packages.Lock, old: str, new: str
) -> None:
    assert packages.check(edited(tmp_path, old, new)) == lock


def test_a_missing_lock_is_said_to_be_missing(model: Base) -> None:
    with pytest.raises(
        SeedbedError, match=r"packages\.lock: cannot be read: No such file or directory; run \./build\.py lock debian"
    ):
        packages.check(model)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (TINI.sha256, TINI.sha256[:-1], r"packages\.lock:11: expected NAME=VERSION sha256:<64 hex digits>"),
        ("tini=0.19.0-1", "tini", r"packages\.lock:11: expected"),
        ("pool/main/x/tini", "http://host/tini", r"packages\.lock:11: expected"),
        ("# inputs", "# input", r"packages\.lock: its header is not whole \('inputs'\)"),
        (DATE, "yesterday", r"packages\.lock: its header is not whole .*yesterday"),
        ("mmdebstrap=", "", r"packages\.lock: installed by: expected"),
    ],
)
def test_a_damaged_lock_is_refused_and_the_line_named(
    model: Base, lock: packages.Lock, old: str, new: str, where: str
) -> None:
    model.lock_path.write_text(model.lock_path.read_text().replace(old, new))
    with pytest.raises(SeedbedError, match=f"{where}.*run ./build.py lock debian"):
        packages.check(model)


def test_a_python_other_than_the_one_locked_is_refused_where_it_is_written(tmp_path: Path, lock: packages.Lock) -> None:
    with pytest.raises(UsageError, match=r"image\.yaml:3: python: says 3\.12, but bookworm ships 3\.11\.2-1"):
        packages.check(edited(tmp_path, '"3.11"', '"3.12"'))


def test_the_committed_lock_is_fresh_and_names_no_host() -> None:
    committed = models.locate(source.read(IMAGES / "base" / "image.yaml"), Base)
    assert packages.check(committed).version("python3")
    assert not re.search(r"https?:|file:", committed.lock_path.read_text())


@pytest.mark.parametrize(
    "line",
    [
        "tzdata=1;curl sha256:{} 1 pool/t_1_all.deb",
        "tzdata=$(curl) sha256:{} 1 pool/t_1_all.deb",
        "tzdata=1 sha256:{} " + "9" * 5000 + " pool/t_1_all.deb",
        "tzdata=1 sha256:{} \u00b2 pool/t_1_all.deb",
        "tzdata=1 sha256:{} 1 pool/\x1b[2J_all.deb",
    ],
)
def test_nothing_but_a_package_gets_from_a_lock_into_the_dockerfile(model: Base, line: str) -> None:
    with pytest.raises(SeedbedError, match=r"^place: expected NAME=VERSION sha256:<64 hex digits> SIZE pool/PATH\.deb"):
        packages.package_in(line.format("a" * 64), "place", model)
