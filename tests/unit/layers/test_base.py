"""The base's layer: where its packages come from, and what decides its bytes; no network or Debian host is needed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest

from builder.catalog.models import Base
from builder.debian import bootstrap, sources
from builder.debian.archive import NotFetched, Package
from builder.errors import SeedbedError
from builder.layers import base
from builder.lock import packages
from builder.lock.packages import Lock
from builder.oci.store import Descriptor, Layer, Store
from tests.archives import DATE, LIBC, MMDEBSTRAP, PYTHON, TINI, FakeArchive, edited, package


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEEDBED_SNAPSHOT", raising=False)
    monkeypatch.setattr(sources, "APT_CONFIGURATION", tmp_path / "apt")
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Base:
    return edited(tmp_path, "", "")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    archive = FakeArchive()
    monkeypatch.setattr(packages, "archive_of", lambda model: archive)
    return archive


@pytest.fixture
def lock(model: Base, archive: FakeArchive) -> Lock:
    """The lock of what the archive holds at first."""
    return packages.make(model, DATE)


@pytest.fixture
def store(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in which the layer of these packages counts as made; making one asks no mmdebstrap."""
    store = Store(cache)

    def write_layer(model: Base, lock: Lock, store: Store, level: int) -> Layer:
        with store.new_blob() as blob:
            blob.write("".join(package.sha256 for package in lock.packages).encode())
            return Layer(blob.commit("application/x-test"), "sha256:" + "0" * 64, 1, base.what(model))

    monkeypatch.setattr(base, "write_layer", write_layer)
    monkeypatch.setattr(bootstrap, "check_host", lambda: None)
    return store


def made(model: Base, lock: Lock, store: Store, *, locked: bool = False) -> tuple[Descriptor, tuple[str, ...]]:
    layer, moved = base.layer(model, lock, store, locked=locked, level=3)
    return layer.descriptor, moved


# ---- where packages come from -----------------------------------------------------------------------------


@pytest.fixture
def later(lock: Lock, archive: FakeArchive) -> FakeArchive:
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


@dataclass
class FakeKit:
    """A kit that has these packages, and notes which it was asked for."""

    packages: Sequence[Package]
    asked: list[Package] = field(default_factory=list)

    def fetch(self, wanted: Sequence[Package], into: Path) -> list[Package]:
        self.asked += wanted
        return [package for package in wanted if package in self.packages]


MOVED = ("libnew: none -> 1", "python3: 3.11.2-1 -> 3.11.2-2", "tini: 0.19.0-1 -> none")


def test_what_is_locked_and_to_be_had_is_what_is_built(model: Base, lock: Lock, store: Store) -> None:
    layer, moved = made(model, lock, store, locked=True)
    assert moved == ()
    assert store.blob(layer.digest).read_text() == LIBC.sha256 + PYTHON.sha256 + TINI.sha256


def test_what_the_archive_dropped_comes_from_the_snapshot_of_the_locks_date(
    model: Base, lock: Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    snapshots["20260203T040506Z"] = FakeArchive()
    assert made(model, lock, store, locked=True)[1] == ()
    assert snapshots["20260203T040506Z"].fetched == [PYTHON, TINI]


def test_what_came_out_just_before_the_lock_comes_from_the_next_days_snapshot(
    model: Base, lock: Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    snapshots["20260203T040506Z"] = FakeArchive(packages=[TINI])
    snapshots["20260204T040506Z"] = FakeArchive()
    assert made(model, lock, store, locked=True)[1] == ()
    assert snapshots["20260204T040506Z"].fetched == [PYTHON]


def test_what_cannot_be_had_any_more_is_named_with_what_took_its_place(
    model: Base, lock: Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    layer, moved = made(model, lock, store)
    assert moved == MOVED
    assert store.blob(layer.digest).read_text() == "".join(p.sha256 for p in later.packages[1:])


def test_locked_refuses_what_moved_and_says_what_to_do(
    model: Base, lock: Lock, later: FakeArchive, store: Store
) -> None:
    with pytest.raises(
        SeedbedError, match=r"dropped python3=3\.11\.2-1, tini=.*SEEDBED_SNAPSHOT.*or run \./build\.py lock"
    ):
        made(model, lock, store, locked=True)


def test_a_snapshot_archive_that_cannot_be_reached_is_no_reason_to_fail(
    model: Base, lock: Lock, later: FakeArchive, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    def unreachable(model: Base, moment: datetime) -> FakeArchive:
        raise SeedbedError("cannot be reached")

    monkeypatch.setattr(base, "snapshot_of", unreachable)
    assert made(model, lock, store)[1] == MOVED


def test_what_neither_archive_nor_snapshot_has_comes_from_a_kit(
    model: Base, lock: Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    snapshots["20260203T040506Z"] = FakeArchive(packages=[PYTHON])
    (base.folder_of_packages()).mkdir(parents=True)
    (base.folder_of_packages() / f"{PYTHON.sha256}.deb").touch()  # as the snapshot leaves it
    kit = FakeKit([TINI, PYTHON, LIBC])
    layer, moved = base.layer(model, lock, store, locked=True, level=3, kits=[kit])
    assert (moved, kit.asked) == ((), [TINI])
    assert store.blob(layer.descriptor.digest).read_text() == LIBC.sha256 + PYTHON.sha256 + TINI.sha256


def test_what_no_kit_has_either_is_substituted_and_locked_refuses_it(
    model: Base, lock: Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    kit = FakeKit([PYTHON])
    assert base.layer(model, lock, store, locked=False, level=3, kits=[kit])[1] == MOVED
    with pytest.raises(SeedbedError, match=r"name a rebuild kit in SEEDBED_KIT, .*SEEDBED_SNAPSHOT"):
        base.layer(model, lock, store, locked=True, level=3, kits=[kit])


def test_a_kit_stands_in_for_an_archive_that_does_not_answer(
    model: Base, lock: Lock, archive: FakeArchive, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(packages: Sequence[Package], into: Path) -> list[Path]:
        raise NotFetched("libc6=2.36-9 could not be fetched: no route to host")

    monkeypatch.setattr(archive, "fetch", unreachable)
    everything = FakeKit([MMDEBSTRAP, LIBC, PYTHON, TINI])
    assert base.layer(model, lock, store, locked=True, level=3, kits=[FakeKit([]), everything])[1] == ()
    with pytest.raises(NotFetched, match="no route to host"):
        base.layer(model, lock, store, locked=False, level=4, kits=[FakeKit([LIBC])])


def test_a_kit_is_not_asked_for_what_the_archive_has(
    model: Base, lock: Lock, archive: FakeArchive, store: Store
) -> None:
    kit = FakeKit([])
    base.layer(model, lock, store, locked=True, level=3, kits=[kit])
    assert kit.asked == []


def test_a_package_that_only_changed_its_place_has_not_moved(
    model: Base, lock: Lock, archive: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    elsewhere = replace(TINI, filename="pool/updates/tini.deb")
    archive.packages = (MMDEBSTRAP, LIBC, PYTHON, elsewhere)
    assert made(model, lock, store)[1] == ()


def test_a_layer_once_made_needs_neither_archive_nor_debian_host(
    model: Base, lock: Lock, store: Store, archive: FakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = made(model, lock, store)

    def refuse() -> None:
        raise SeedbedError("not a Debian host")

    monkeypatch.setattr(bootstrap, "check_host", refuse)
    assert made(model, lock, store, locked=True) == (first, ())
    with pytest.raises(SeedbedError, match="not a Debian host"):
        base.layer(model, lock, store, locked=True, level=4)


def test_an_unlocked_layer_is_never_taken_for_the_locked_one(
    model: Base, lock: Lock, later: FakeArchive, snapshots: dict[str, FakeArchive], store: Store
) -> None:
    unlocked, _ = made(model, lock, store)
    later.packages = (MMDEBSTRAP, LIBC, PYTHON, TINI)
    locked, moved = made(model, lock, store)
    assert moved == ()
    assert locked != unlocked


CHANGES: dict[str, Callable[[Base, Lock], str]] = {
    "level": lambda model, lock: base.key_of(model, lock, 4),
    "a package": lambda model, lock: base.key_of(model, replace(lock, packages=lock.packages[1:]), 3),
    "mmdebstrap": lambda model, lock: base.key_of(model, replace(lock, mmdebstrap=TINI), 3),
    "epoch": lambda model, lock: base.key_of(edited(model.folder.parent, "epoch: 2025", "epoch: 2024"), lock, 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_the_layers_bytes_decides_its_key(model: Base, lock: Lock, change: str) -> None:
    assert base.key_of(model, lock, 3) == base.key_of(model, replace(lock, date=datetime(1999, 1, 1)), 3)
    assert CHANGES[change](model, lock) != base.key_of(model, lock, 3)


def test_a_change_of_the_recipe_makes_the_layer_anew(model: Base, lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_snapshot_archive_is_the_one_the_hosts_sources_note(noted: None, tmp_path: Path) -> None:
    """What others wrote in their sources is no obstacle, in whatever encoding."""
    (tmp_path / "apt/sources.list.d/a-vendor.sources").write_bytes(b"# caf\xe9\nTypes: deb\n")
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
