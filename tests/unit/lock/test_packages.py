"""The base's lock, and where its packages come from; no network, no root and no Debian host is needed here."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest
import zstandard

from builder.catalog import models, source
from builder.catalog.models import Base
from builder.debian import archive as debian
from builder.debian import bootstrap
from builder.debian.archive import Package, PackageGone
from builder.errors import SeedbedError, UsageError
from builder.lock import packages as base
from builder.lock import toolchain
from builder.oci import tar
from builder.oci.store import Descriptor, Layer, Store
from builder.paths import IMAGES

DATE = "2026-02-03T04:05:06Z"
IMAGE = """\
kind: base
suite: bookworm
python: "3.11"
epoch: 2025-01-01
registry: debian:bookworm-slim@sha256:{digest}
packages: [python3, tini]
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEEDBED_SNAPSHOT", raising=False)
    monkeypatch.setattr(debian, "APT_CONFIGURATION", tmp_path / "apt")
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Base:
    return edited(tmp_path, "", "")


def edited(folder: Path, old: str, new: str) -> Base:
    path = folder / "debian" / "image.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(IMAGE.format(digest="0" * 64).replace(old, new))
    return models.locate(source.read(path), Base)


def package(name: str, version: str) -> Package:
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    return Package(name, version, "amd64", sha256, 1000, f"pool/main/x/{name}_{version}_amd64.deb")


MMDEBSTRAP = package("mmdebstrap", "1.3.5-7")
PYTHON, TINI, LIBC = package("python3", "3.11.2-1"), package("tini", "0.19.0-1"), package("libc6", "2.36-9")


@dataclass
class FakeArchive:
    """An archive that holds `packages`, and notes in `fetched` what it was asked for and had."""

    packages: Sequence[Package] = (MMDEBSTRAP, LIBC, PYTHON, TINI)
    fetched: list[Package] = field(default_factory=list)

    def update(self) -> None:
        pass

    def resolve(self, names: Sequence[str], *, dependencies: bool = True) -> list[Package]:
        return [package for package in self.packages if (package.name == "mmdebstrap") is not dependencies]

    def fetch(self, packages: Sequence[Package], into: Path) -> list[Path]:
        self.fetched += [package for package in packages if package in self.packages]
        if gone := [package for package in packages if package not in self.packages]:
            raise PackageGone(gone)
        return [into / package.sha256 for package in packages]


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    archive = FakeArchive()
    monkeypatch.setattr(base, "archive_of", lambda model: archive)
    return archive


@pytest.fixture
def lock(model: Base, archive: FakeArchive) -> base.Lock:
    lock = base.make(model, DATE)
    base.write(model, lock)
    return lock


@pytest.fixture
def store(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in which the layer of these packages counts as made; making one asks no mmdebstrap."""
    store = Store(cache)

    def write_layer(model: Base, lock: base.Lock, store: Store, level: int) -> Layer:
        with store.new_blob() as blob:
            blob.write("".join(package.sha256 for package in lock.packages).encode())
            return Layer(blob.commit("application/x-test"), "sha256:" + "0" * 64, 1, base.what(model))

    monkeypatch.setattr(base, "write_layer", write_layer)
    monkeypatch.setattr(bootstrap, "check_host", lambda: None)
    return store


def made(model: Base, store: Store, *, locked: bool = False) -> tuple[Descriptor, tuple[str, ...]]:
    layer, moved = base.layer(model, store, locked=locked, level=3, log=lambda line: None)
    return layer.descriptor, moved


# ---- the lock ----------------------------------------------------------------------------------------------


def test_a_lock_reads_as_it_was_written(model: Base, lock: base.Lock) -> None:
    assert base.check(model) == lock
    assert lock.version("tini") == "0.19.0-1"
    assert base.pins(model) == ["python3=3.11.2-1", "tini=0.19.0-1"]


def test_a_lock_is_one_package_a_line_sorted_and_names_no_host(model: Base, lock: base.Lock) -> None:
    text = model.lock_path.read_text()
    entries = [line for line in text.splitlines() if not line.startswith("#")]
    assert [entry.partition("=")[0] for entry in entries] == ["libc6", "python3", "tini"]
    assert entries[2] == f"tini=0.19.0-1 sha256:{TINI.sha256} 1000 pool/main/x/tini_0.19.0-1_amd64.deb"
    assert "://" not in text


def test_the_lock_says_when_and_with_which_mmdebstrap_it_was_made(model: Base, lock: base.Lock) -> None:
    text = model.lock_path.read_text()
    assert f"# date: {DATE}\n" in text
    assert f"# installed by: mmdebstrap=1.3.5-7 sha256:{MMDEBSTRAP.sha256}" in text


def test_the_lock_says_what_writes_the_layers(model: Base, lock: base.Lock) -> None:
    written_by = f"# written by: format {tar.FORMAT}, installer {version('installer')}, zstandard "
    assert written_by in model.lock_path.read_text()


@pytest.mark.parametrize("part", ["format", "level", "installer", "zstandard", "zstd", "recipe"])
def test_another_writer_makes_the_lock_stale_and_both_are_named(
    model: Base, lock: base.Lock, part: str, monkeypatch: pytest.MonkeyPatch
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
        base.check(model)
    assert f"{before}, here they would be by {toolchain.identity()};" in str(stale.value)
    assert toolchain.identity() != before


@pytest.mark.parametrize(
    ("old", "new"), [("suite: bookworm", "suite: trixie"), ("[python3, tini]", "[python3]")], ids=["suite", "packages"]
)
def test_a_lock_whose_inputs_changed_is_stale_and_the_error_says_what_to_type(
    tmp_path: Path, lock: base.Lock, old: str, new: str
) -> None:
    with pytest.raises(SeedbedError, match=r"packages\.lock: stale.*run \./build\.py lock debian$"):
        base.check(edited(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [("[python3, tini]", "[tini, python3]"), ("epoch: 2025", "epoch: 2024"), ("debian:book", "mirror/debian:book")],
    ids=["order", "epoch", "registry"],
)
def test_a_lock_outlives_what_does_not_decide_its_packages(tmp_path: Path, lock: base.Lock, old: str, new: str) -> None:
    assert base.check(edited(tmp_path, old, new)) == lock


def test_a_missing_lock_is_said_to_be_missing(model: Base) -> None:
    with pytest.raises(
        SeedbedError, match=r"packages\.lock: cannot be read: No such file or directory; run \./build\.py lock debian"
    ):
        base.check(model)


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
    model: Base, lock: base.Lock, old: str, new: str, where: str
) -> None:
    model.lock_path.write_text(model.lock_path.read_text().replace(old, new))
    with pytest.raises(SeedbedError, match=f"{where}.*run ./build.py lock debian"):
        base.check(model)


def test_a_python_other_than_the_one_locked_is_refused_where_it_is_written(tmp_path: Path, lock: base.Lock) -> None:
    with pytest.raises(UsageError, match=r"image\.yaml:3: python: says 3\.12, but bookworm ships 3\.11\.2-1"):
        base.check(edited(tmp_path, '"3.11"', '"3.12"'))


def test_the_committed_lock_is_fresh_and_names_no_host() -> None:
    committed = models.locate(source.read(IMAGES / "base" / "image.yaml"), Base)
    assert base.check(committed).version("python3")
    assert not re.search(r"https?:|file:", committed.lock_path.read_text())


# ---- where packages come from -----------------------------------------------------------------------------


@pytest.fixture
def later(lock: base.Lock, archive: FakeArchive) -> FakeArchive:
    """The archive, once it has replaced two of the locked packages."""
    archive.packages = (MMDEBSTRAP, LIBC, package("libnew", "1"), package("python3", "3.11.2-2"))
    return archive


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeArchive]:
    """Snapshots by timestamp; the ones that no test puts here hold nothing."""
    snapshots: dict[str, FakeArchive] = {}

    def snapshot_of(model: Base, moment: datetime) -> FakeArchive:
        return snapshots.setdefault(f"{moment:%Y%m%dT%H%M%SZ}", FakeArchive(packages=()))

    monkeypatch.setattr(base, "snapshot_of", snapshot_of)
    return snapshots


MOVED = ("libnew: none -> 1", "python3: 3.11.2-1 -> 3.11.2-2", "tini: 0.19.0-1 -> none")


def test_what_is_locked_and_to_be_had_is_what_is_built(model: Base, lock: base.Lock, store: Store) -> None:
    layer, moved = made(model, store, locked=True)
    assert moved == ()
    assert store.blob(layer.digest).read_text() == LIBC.sha256 + PYTHON.sha256 + TINI.sha256


def test_what_the_archive_dropped_comes_from_the_snapshot_of_the_locks_date(
    model: Base, lock: base.Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    snapshots["20260203T040506Z"] = FakeArchive()
    assert made(model, store, locked=True)[1] == ()
    assert snapshots["20260203T040506Z"].fetched == [PYTHON, TINI]


def test_what_came_out_just_before_the_lock_comes_from_the_next_days_snapshot(
    model: Base, lock: base.Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    snapshots["20260203T040506Z"] = FakeArchive(packages=[TINI])
    snapshots["20260204T040506Z"] = FakeArchive()
    assert made(model, store, locked=True)[1] == ()
    assert snapshots["20260204T040506Z"].fetched == [PYTHON]


def test_what_cannot_be_had_any_more_is_named_with_what_took_its_place(
    model: Base, lock: base.Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    layer, moved = made(model, store)
    assert moved == MOVED
    assert store.blob(layer.digest).read_text() == "".join(p.sha256 for p in later.packages[1:])


def test_locked_refuses_what_moved_and_says_what_to_do(
    model: Base, lock: base.Lock, later: FakeArchive, store: Store
) -> None:
    with pytest.raises(
        SeedbedError, match=r"dropped python3=3\.11\.2-1, tini=.*SEEDBED_SNAPSHOT.*or run \./build\.py lock"
    ):
        made(model, store, locked=True)


def test_a_snapshot_archive_that_cannot_be_reached_is_no_reason_to_fail(
    model: Base, lock: base.Lock, later: FakeArchive, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    def unreachable(model: Base, moment: datetime) -> FakeArchive:
        raise SeedbedError("cannot be reached")

    monkeypatch.setattr(base, "snapshot_of", unreachable)
    assert made(model, store)[1] == MOVED


def test_a_package_that_only_changed_its_place_has_not_moved(
    model: Base, lock: base.Lock, archive: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    elsewhere = replace(TINI, filename="pool/updates/tini.deb")
    archive.packages = (MMDEBSTRAP, LIBC, PYTHON, elsewhere)
    assert made(model, store)[1] == ()


def test_a_layer_once_made_needs_neither_archive_nor_debian_host(
    model: Base, lock: base.Lock, store: Store, archive: FakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = made(model, store)

    def refuse() -> None:
        raise SeedbedError("not a Debian host")

    monkeypatch.setattr(bootstrap, "check_host", refuse)
    assert made(model, store, locked=True) == (first, ())
    with pytest.raises(SeedbedError, match="not a Debian host"):
        base.layer(model, store, locked=True, level=4, log=lambda line: None)


def test_an_unlocked_layer_is_never_taken_for_the_locked_one(
    model: Base, lock: base.Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    unlocked, _ = made(model, store)
    later.packages = (MMDEBSTRAP, LIBC, PYTHON, TINI)
    locked, moved = made(model, store)
    assert moved == ()
    assert locked != unlocked


CHANGES: dict[str, Callable[[Base, base.Lock], str]] = {
    "level": lambda model, lock: base.key_of(model, lock, 4),
    "a package": lambda model, lock: base.key_of(model, replace(lock, packages=lock.packages[1:]), 3),
    "mmdebstrap": lambda model, lock: base.key_of(model, replace(lock, mmdebstrap=TINI), 3),
    "epoch": lambda model, lock: base.key_of(edited(model.folder.parent, "epoch: 2025", "epoch: 2024"), lock, 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_the_layers_bytes_decides_its_key(model: Base, lock: base.Lock, change: str) -> None:
    assert base.key_of(model, lock, 3) == base.key_of(model, replace(lock, date=datetime(1999, 1, 1)), 3)
    assert CHANGES[change](model, lock) != base.key_of(model, lock, 3)


def test_a_change_of_the_recipe_makes_the_layer_anew(
    model: Base, lock: base.Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = base.key_of(model, lock, 3)
    monkeypatch.setattr(bootstrap, "RECIPE", (*bootstrap.RECIPE, "changed"))
    assert base.key_of(model, lock, 3) != before


# ---- the snapshot archive's address -----------------------------------------------------------------------


@pytest.fixture
def noted(tmp_path: Path) -> None:
    """Apt sources with the comment that Debian's own container images carry."""
    sources = tmp_path / "apt" / "sources.list.d" / "debian.sources"
    sources.parent.mkdir(parents=True)
    sources.write_text(
        "Types: deb\n# http://snapshot.example/archive/debian/20250520T000000Z\nURIs: http://a.example/debian\n"
    )


def test_the_snapshot_archive_is_the_one_the_hosts_sources_note(noted: None) -> None:
    assert base.noted_snapshot() == "http://snapshot.example/archive"


def test_sources_without_that_note_give_no_snapshot_archive(model: Base) -> None:
    assert base.noted_snapshot() is None
    with pytest.raises(SeedbedError, match="no snapshot archive is known"):
        base.snapshot_of(model, datetime(2026, 2, 3))


@pytest.mark.parametrize("named", [None, "http://mine.example/archive"])
def test_a_snapshot_archive_named_by_the_user_wins(
    model: Base, noted: None, named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(base, "Archive", lambda directory, *, suite, snapshot: asked.append(snapshot))
    if named:
        monkeypatch.setenv("SEEDBED_SNAPSHOT", named)
    base.snapshot_of(model, datetime(2026, 2, 3, 4, 5, 6))
    assert asked[0].uri("debian-security") == (
        f"{named or 'http://snapshot.example/archive'}/debian-security/20260203T040506Z"
    )


# ---- what belongs to the base, and what installing it left behind -----------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "etc/apt/sources.list",
        "etc/passwd",
        "usr/bin/python3.11",
        "usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
        "usr/share/doc/tini/copyright",
        "usr/share/locale/locale.alias",
        "usr/share/man/man1",
        "var/lib/apt/lists",
        "var/lib/dpkg/status",
        "var/log/wtmp",
    ],
)
def test_what_packages_are_for_stays(path: str) -> None:
    assert bootstrap.belongs(path)


@pytest.mark.parametrize(
    "path",
    [
        "dev/null",
        "etc/hostname",
        "etc/passwd-",
        "etc/resolv.conf",
        "usr/bin/x86_64-linux-gnu-lto-dump-12",
        "usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a",
        "usr/share/doc/tini/changelog.gz",
        "usr/share/locale/de/LC_MESSAGES/dpkg.mo",
        "usr/share/man/man1/ls.1.gz",
        "var/cache/debconf/templates.dat-old",
        "var/lib/apt/lists/partial",
        "var/log/alternatives.log",
        "var/log/apt/history.log",
    ],
)
def test_traces_of_this_machine_and_what_nobody_reads_go(path: str) -> None:
    assert not bootstrap.belongs(path)


def test_an_image_made_from_this_one_leaves_out_the_same(tmp_path: Path) -> None:
    rules = bootstrap.DPKG_CONFIGURATION.splitlines()
    assert [rule for rule in rules if rule.startswith("path-exclude=/")] == [
        f"path-exclude=/{pattern}" for pattern in bootstrap.LEFT_OUT
    ]
    assert "path-include=/usr/share/doc/*/copyright" in rules


@pytest.mark.parametrize(
    ("host", "architecture", "word"),
    [("not root", "x86_64", "not root"), (None, "aarch64", "aarch64")],
    ids=["no root", "another processor"],
)
def test_a_host_that_cannot_bootstrap_is_told_of_the_other_way(
    host: str | None, architecture: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "host_supported", lambda: host)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: architecture)
    with pytest.raises(SeedbedError, match=rf"{word}.*--base registry"):
        bootstrap.check_host()


def test_a_host_that_lacks_a_tool_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "host_supported", lambda: None)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap.shutil, "which", lambda tool: None if tool == "perl" else f"/usr/bin/{tool}")
    with pytest.raises(SeedbedError, match="this host has no perl: install it"):
        bootstrap.check_host()


def test_packages_other_than_the_locked_ones_are_named() -> None:
    bootstrap.check_installed([TINI, LIBC], ["libc6=2.36-9", "tini=0.19.0-1"])
    with pytest.raises(SeedbedError, match=r"differs in: tini=0\.19\.0-1, tini=0\.20\.0-1$"):
        bootstrap.check_installed([TINI, LIBC], ["libc6=2.36-9", "tini=0.20.0-1"])


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("I: fine\nE: Failed to fetch tini.deb\nE: setup failed\n", "Failed to fetch tini.deb"),
        ("unshare: not\npermitted\n", "unshare: not permitted"),
        ("", "it gave no reason"),
    ],
)
def test_a_failed_installation_is_told_in_one_line(output: str, said: str) -> None:
    assert bootstrap.first_error(output) == said


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
        base.parse(line.format("a" * 64), "place", model)
