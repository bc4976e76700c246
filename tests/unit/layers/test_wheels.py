"""Wheels come from wherever pip is set up to fetch them, and are what the lock says or are refused."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from builder import files, paths
from builder.errors import SeedbedError
from builder.layers import wheels
from builder.lock.index import Pin


@pytest.fixture
def index(tmp_path: Path, monkeypatch) -> Path:
    """A folder of wheels in the place of every index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def pin(index: Path) -> Pin:
    """A wheel in that folder, as a lock pins it."""
    path = index / "sprout-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sprout.py", "")
        archive.writestr("sprout-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sprout\nVersion: 1.0\n")
        archive.writestr("sprout-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("sprout-1.0.dist-info/RECORD", "")
    return Pin("sprout", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


def fetch(pin: Pin):
    return wheels.fetch([pin], "3.11")


def cached() -> list[Path]:
    return sorted((paths.cache() / "wheels").glob("*/*.whl"))


def test_a_wheel_is_fetched_once_and_kept_under_its_hash(pin, index):
    fetch(pin)
    [path] = cached()
    assert (path.parent.name, path.name) == (pin.sha256, "sprout-1.0-py3-none-any.whl")
    for file in index.iterdir():
        file.unlink()
    fetch(pin)


def test_a_tampered_wheel_is_refused_and_named(pin, index):
    with (index / "sprout-1.0-py3-none-any.whl").open("ab") as file:
        file.write(b"x")
    with pytest.raises(
        SeedbedError, match=r"^sprout==1\.0: the index serves a file with sha256 \w+, the lock says "
    ) as refused:
        fetch(pin)
    assert "\n" not in str(refused.value)
    assert cached() == []


def test_a_wheel_that_the_index_dropped_is_named(pin, index):
    (index / "sprout-1.0-py3-none-any.whl").unlink()
    with pytest.raises(SeedbedError, match=r"^sprout==1\.0: not fetched: No matching distribution"):
        fetch(pin)


def test_a_wheel_deleted_from_the_cache_is_fetched_again(pin):
    fetch(pin)
    cached()[0].unlink()
    fetch(pin)
    assert len(cached()) == 1


def test_an_interrupted_download_leaves_nothing_that_is_later_believed(pin, monkeypatch):
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "check_sha256", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(pin)
    assert [*paths.cache().glob("wheels/*"), *paths.cache().glob("scratch/*")] == []
