"""The Debian base as one layer, made of its locked packages, without a registry.

They come from the local cache, else from the archive, else from a snapshot of the lock's date, else from a rebuild kit.
If one is no longer available, the layer is made of what the archive has now, and names what was substituted.
"""

import logging
import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from builder import paths, reading, scratch
from builder.catalog.models import Base
from builder.console import step
from builder.debian import bootstrap, sources
from builder.debian.archive import Archive, NotFetched, Package, PackageGone
from builder.debian.sources import Snapshot
from builder.errors import SeedbedError
from builder.layers import kit
from builder.layers.kit import Kit
from builder.lock import packages
from builder.lock.lockfile import remedy
from builder.lock.packages import Lock
from builder.oci.store import Layer, Store
from builder.oci.tar import layer_key, tar_to_layer

log = logging.getLogger(__name__)


def layer(
    base: Base, lock: Lock, store: Store, *, locked: bool, level: int, kits: Sequence[Kit] = ()
) -> tuple[Layer, tuple[str, ...]]:
    """The base's root file system as a layer, and what was substituted: `name: locked version -> version in the layer`.

    Nothing substituted: the layer contains exactly what the lock says. `level` is zstd's. Raises `SeedbedError` if the
    host is unsuitable, or `locked` and a package is no longer available.
    """
    if known := store.find(key_of(base, lock, level), what=what(base)):
        return known, ()
    bootstrap.check_host()
    found, substituted = fetch(base, lock, locked=locked, kits=kits)
    make = partial(write_layer, base, found, store, level)
    return store.layer(key_of(base, found, level), make, what=what(base)), substituted


def write_layer(base: Base, lock: Lock, store: Store, level: int) -> Layer:
    epoch, doing = base.source_date_epoch, f"{base.name}: {len(lock.packages)} Debian packages into a root file system"
    with step(doing), scratch.folder(paths.cache()) as folder:
        tar = bootstrap.install(
            lock.mmdebstrap, lock.packages, folder=folder_of_packages(), suite=base.suite, epoch=epoch, scratch=folder
        )
        return tar_to_layer(store, tar, epoch=epoch, level=level, what=what(base), keep=bootstrap.belongs)


def what(base: Base) -> str:
    return f"Debian {base.suite}: {', '.join(sorted(base.packages))}"


def fetch(base: Base, lock: Lock, *, locked: bool, kits: Sequence[Kit] = ()) -> tuple[Lock, tuple[str, ...]]:
    """Bring every package into the cache. Returns what was brought, as a lock, and what was substituted.

    What neither the archive nor a snapshot of it gives may come from one of the `kits`.
    """
    if not missing(wanted := lock.everything):
        return lock, ()
    debian = packages.archive_of(base)
    try:
        debian.fetch(wanted, folder_of_packages())
        return lock, ()
    except NotFetched:
        if kit.fetch(kits, missing(wanted), folder_of_packages()):
            raise
        return lock, ()
    except PackageGone as gone:
        dropped = gone.packages
    names = ", ".join(map(str, dropped))
    log.info(f"{base.name}: the archive has dropped {names}; asking a snapshot of {lock.date:%Y-%m-%d}")
    try:
        fetch_from_snapshots(base, lock.date, dropped)
        return lock, ()
    except SeedbedError as error:
        complaint = error
    if not kit.fetch(kits, missing(dropped), folder_of_packages()):
        return lock, ()
    if locked:
        raise SeedbedError(
            f"the Debian archive has dropped {names}, and {complaint}; name a rebuild kit in SEEDBED_KIT, "
            f"another snapshot archive in SEEDBED_SNAPSHOT, or {remedy(base.name)}"
        )
    log.info(f"{base.name}: {complaint}; going on with what the archive has now")
    newest = packages.make(base, f"{lock.date:{packages.DATE}}")
    debian.fetch(newest.everything, folder_of_packages())
    return newest, substitutions(lock, newest)


def missing(wanted: Sequence[Package]) -> list[Package]:
    """Those of the packages that the cache lacks."""
    return [package for package in wanted if not package.file(folder_of_packages()).exists()]


def fetch_from_snapshots(base: Base, date: datetime, wanted: Sequence[Package]) -> None:
    """Raises `SeedbedError` where no snapshot archive is known or reached, or lacks one of the packages."""
    # A snapshot is taken a few times a day: what came out just before the lock is only in a later one.
    for moment in (date, date + timedelta(days=1)):
        try:
            return snapshot_of(base, moment).fetch(wanted, folder_of_packages())
        except PackageGone as gone:
            wanted = gone.packages
    raise SeedbedError(f"no snapshot of {date:%Y-%m-%d} has {', '.join(package.name for package in wanted)}")


def substitutions(before: Lock, after: Lock) -> tuple[str, ...]:
    """What differs between the packages of two locks, as `name: version -> version`."""
    old, new = ({package.name: package for package in lock.everything} for lock in (before, after))
    return tuple(
        f"{name}: {old[name].version if name in old else 'none'} -> {new[name].version if name in new else 'none'}"
        for name in sorted(old.keys() | new.keys())
        if name not in old or name not in new or old[name].sha256 != new[name].sha256
    )


def snapshot_of(base: Base, moment: datetime) -> Archive:
    """The archive as it stood then; raises `SeedbedError` where no snapshot archive is known."""
    address = os.environ.get("SEEDBED_SNAPSHOT") or noted_snapshot()
    if address is None:
        raise SeedbedError("no snapshot archive is known (SEEDBED_SNAPSHOT is not set)")
    snapshot = Snapshot(address, f"{moment:%Y%m%dT%H%M%SZ}")
    return Archive(paths.cache() / "apt" / f"{base.suite}-{snapshot.timestamp}", suite=base.suite, snapshot=snapshot)


def noted_snapshot() -> str | None:
    """The snapshot archive that Debian's own container images note in a comment beside their apt sources."""
    note = re.compile(rb"^# *(\S+)/debian/\d{8}T\d{6}Z$", re.MULTILINE)
    files = sorted((sources.APT_CONFIGURATION / "sources.list.d").glob("*.sources"))
    found = (note.search(reading.data(path)) for path in files)
    return next((match[1].decode() for match in found if match), None)


def folder_of_packages() -> Path:
    return paths.cache() / "packages"


def key_of(base: Base, lock: Lock, level: int) -> str:
    """The name the store remembers the layer by: a hash of all that its bytes depend on."""
    hashes = [package.sha256 for package in lock.everything]
    inputs = {"suite": base.suite, "packages": hashes, "epoch": base.source_date_epoch, "level": level}
    return layer_key("base", inputs | {"recipe": bootstrap.RECIPE})
