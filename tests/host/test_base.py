"""The base as mmdebstrap really makes it, from a few packages: the same bytes every time, and no trace of the host."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from builder import paths
from builder.catalog import models, source
from builder.catalog.models import Base
from builder.debian import bootstrap, sources
from builder.errors import SeedbedError
from builder.layers import base
from builder.lock import packages
from builder.oci.store import Layer, Store

TROUBLE = bootstrap.trouble()
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(TROUBLE is not None, reason=f"Debian cannot be bootstrapped here: {TROUBLE}"),
]

IMAGE = """\
kind: base
suite: bookworm
python: "3.11"
epoch: 2025-01-01
registry: debian:bookworm-slim@sha256:{digest}
packages: [python3-minimal, tini, usr-is-merged]
"""
EPOCH = 1_735_689_600


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SEEDBED_CACHE", str(folder))
        yield paths.cache()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Base:
    path = tmp_path_factory.mktemp("images") / "debian" / "image.yaml"
    path.parent.mkdir()
    path.write_text(IMAGE.format(digest="0" * 64))
    return models.locate(source.read(path), Base)


@pytest.fixture(scope="module")
def lock(model: Base) -> packages.Lock:
    lock = packages.make(model, "2026-01-01T00:00:00Z")
    packages.write(model, lock)
    return lock


@pytest.fixture(scope="module")
def first(model: Base, lock: packages.Lock, cache: Path) -> tuple[Layer, Path]:
    """The layer as the product makes it, and its tar."""
    store = Store(cache)
    layer, moved = base.layer(model, lock, store, locked=True, level=1)
    assert moved == ()
    return layer, unpacked(store, layer, cache / "first.tar")


@pytest.fixture(scope="module")
def files(first: tuple[Layer, Path]) -> Iterator[tarfile.TarFile]:
    with tarfile.open(first[1]) as archive:
        yield archive


def unpacked(store: Store, layer: Layer, into: Path) -> Path:
    with store.blob(layer.descriptor.digest).open("rb") as blob, into.open("wb") as tar:
        zstandard.ZstdDecompressor().copy_stream(blob, tar)
    return into


def again(model: Base, lock: packages.Lock, folder: Path) -> tuple[Layer, Path]:
    store = Store(folder)
    layer = base.write_layer(model, lock, store, 1)
    return layer, unpacked(store, layer, folder / "again.tar")


def content(archive: tarfile.TarFile, path: str) -> str:
    file = archive.extractfile(path)
    assert file is not None, path
    return file.read().decode()


def differing(one: Path, other: Path) -> set[str]:
    """The paths whose content differs between two tars."""
    with tarfile.open(one) as left, tarfile.open(other) as right:
        paths = [member.name for member in left if member.isfile()]
        return {path for path in paths if content_bytes(left, path) != content_bytes(right, path)}


def content_bytes(archive: tarfile.TarFile, path: str) -> bytes | None:
    file = archive.extractfile(path)
    return file and file.read()


def test_another_umask_clock_zone_locale_home_and_order_give_the_same_digest(
    model: Base, lock: packages.Lock, first: tuple[Layer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8", "HOME": "/nowhere", "PERL_HASH_SEED": "7"}.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        layer, _ = again(model, replace(lock, packages=lock.packages[::-1]), tmp_path)
    finally:
        os.umask(before)
    assert layer.descriptor == first[0].descriptor


def test_controls_without_the_epoch_the_day_of_the_build_is_in_the_image_and_unfiltered_what_the_installation_left(
    model: Base, lock: packages.Lock, first: tuple[Layer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    belongs = bootstrap.belongs
    monkeypatch.setattr(bootstrap, "CONFINED", [*bootstrap.CONFINED, "env", "--unset=SOURCE_DATE_EPOCH"])
    monkeypatch.setattr(bootstrap, "belongs", lambda path: True)
    layer, tar = again(model, lock, tmp_path)
    assert layer.descriptor != first[0].descriptor
    assert "etc/shadow" in differing(first[1], tar)
    with tarfile.open(tar) as archive:
        left = {member.name for member in archive if not belongs(member.name)}
    assert left >= {"dev/null", "var/lib/dpkg/status-old"}


def test_exactly_the_locked_packages_are_installed(lock: packages.Lock, files: tarfile.TarFile) -> None:
    status = sources.stanzas(content(files, "var/lib/dpkg/status"))
    installed = {entry["Package"]: entry["Version"] for entry in status if entry["Status"] == "install ok installed"}
    assert installed == {package.name: package.version for package in lock.packages}


def test_everything_carries_the_epoch(files: tarfile.TarFile) -> None:
    assert {member.mtime for member in files} == {EPOCH}


def test_no_device_log_backup_or_name_of_the_host_is_left(files: tarfile.TarFile) -> None:
    assert not [member.name for member in files if not member.isdir() and not bootstrap.belongs(member.name)]
    assert not [member.name for member in files if member.ischr() or member.isblk()]
    assert not [member.name for member in files if member.name.startswith("var/log/") and member.size]


def test_apt_inside_asks_debian_itself_and_not_the_builds_mirror(files: tarfile.TarFile) -> None:
    suites = [line.split()[2:] for line in content(files, "etc/apt/sources.list").splitlines()]
    assert suites == [["bookworm", "main"], ["bookworm-updates", "main"], ["bookworm-security", "main"]]
    assert not [name for name in files.getnames() if name.startswith("etc/apt/sources.list.d/")]
    assert "trusted=yes" not in content(files, "etc/apt/sources.list")


def test_bytecode_is_checked_by_its_sources_hash_and_so_outlives_every_date(files: tarfile.TarFile) -> None:
    bytecode = [name for name in files.getnames() if name.endswith(".pyc")]
    assert "usr/lib/python3.11/__pycache__/os.cpython-311.pyc" in bytecode
    # PEP 552: bit 0 of the flags says hash-based, bit 1 that the source is looked at
    assert {(content_bytes(files, name) or b"")[4:8] for name in bytecode} == {b"\3\0\0\0"}


def test_the_top_folders_are_links_into_usr(files: tarfile.TarFile) -> None:
    links = {name: files.getmember(name).linkname for name in ("bin", "sbin", "lib", "lib64")}
    assert links == {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


@pytest.mark.parametrize("name", ["tini", "mmdebstrap"])
def test_a_package_with_other_bytes_is_refused_and_named(
    name: str, model: Base, lock: packages.Lock, first: tuple[Layer, Path], cache: Path
) -> None:
    package = next(package for package in (lock.mmdebstrap, *lock.packages) if package.name == name)
    deb = cache / "packages" / f"{package.sha256}.deb"
    genuine = deb.read_bytes()
    deb.write_bytes(genuine[:-1] + bytes([genuine[-1] ^ 1]))
    try:
        with pytest.raises(
            SeedbedError,
            match=rf"{name}=\S+: expected sha256 {package.sha256}, found .* is now deleted: run the command again",
        ):
            base.write_layer(model, lock, Store(cache), 1)
    finally:
        deb.write_bytes(genuine)
    assert not list(cache.glob("scratch/*"))


def test_the_installation_has_no_network() -> None:
    interfaces = "import socket; print([name for _, name in socket.if_nameindex()])"
    confined = subprocess.run([*bootstrap.CONFINED, sys.executable, "-c", interfaces], capture_output=True, text=True)
    assert confined.stdout == "['lo']\n"
