"""The Debian base: its lock of packages, and from it one layer, without a registry.

Locked packages come from the local cache, else from the archive, else from a snapshot of the lock's date. Where one
cannot be had any more, the layer is made of what the archive has now, and says what moved.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from builder import files, paths, reading, scratch
from builder.catalog.models import Base
from builder.catalog.source import shown
from builder.console import step
from builder.debian import archive as debian
from builder.debian import bootstrap
from builder.debian.archive import Archive, Package, PackageGone, Snapshot
from builder.debian.bootstrap import Debs
from builder.errors import SeedbedError, UsageError
from builder.lock import toolchain as writer
from builder.oci.store import Layer, Store
from builder.oci.tar import layer_key, tar_to_layer

Log = Callable[[str], None]

FORMAT = 1
ARCHITECTURE = "amd64"
DATE = "%Y-%m-%dT%H:%M:%SZ"
ESSENTIAL = "?essential"
"""apt's pattern for the packages without which there is no Debian; apt counts itself in."""

ENTRY = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)=(?P<version>[0-9A-Za-z.+:~-]+) sha256:(?P<sha256>[0-9a-f]{64}) "
    r"(?P<size>[0-9]{1,12}) (?P<filename>pool/[0-9A-Za-z.+:~%/_-]+_(?P<architecture>[a-z0-9]+)\.deb)"
)


@dataclass(frozen=True)
class Lock:
    """A packages.lock as read. `date` (UTC) is when the archive was asked, `writer` what writes the images' layers."""

    inputs: str
    date: datetime
    writer: str
    mmdebstrap: Package
    packages: tuple[Package, ...]

    def version(self, name: str) -> str | None:
        return next((package.version for package in self.packages if package.name == name), None)

    def render(self, base: Base) -> str:
        """The file's text: one package a line, sorted by name, with its path in the pool and no host."""
        head = [
            f"# Made by `./build.py lock {base.name}`: edit image.yaml instead.",
            f"# format: {FORMAT}",
            f"# inputs: sha256:{self.inputs}",
            f"# date: {self.date:{DATE}}",
            f"# suite: {base.suite}",
            f"# architecture: {ARCHITECTURE}",
            f"# written by: {self.writer}",
            f"# installed by: {entry(self.mmdebstrap)}",
        ]
        return "\n".join([*head, *map(entry, self.packages), ""])


def make(base: Base, date: str) -> Lock:
    """Resolve the base's packages as the archive stands now; `date` (RFC 3339, UTC) says when that is."""
    archive = archive_of(base)
    archive.update()
    [mmdebstrap] = archive.resolve(["mmdebstrap"], dependencies=False)
    packages = archive.resolve([ESSENTIAL, *base.packages])
    return Lock(inputs_of(base), datetime.strptime(date, DATE), writer.identity(), mmdebstrap, tuple(packages))


def write(base: Base, lock: Lock) -> None:
    files.write(base.lock_path, lock.render(base))


def read(base: Base) -> Lock:
    """The base's lock; raises `SeedbedError` where it is missing or a line of it is not of the form."""
    head: dict[str, str] = {}
    packages = []
    for number, line in enumerate(reading.text(base.lock_path, remedy(base)).splitlines(), start=1):
        if line.startswith("#"):
            key, _, value = line.removeprefix("#").partition(":")
            head[key.strip()] = value.strip()
        else:
            packages.append(parse(line, f"{shown(base.lock_path)}:{number}", base))
    try:
        inputs, date = head["inputs"].removeprefix("sha256:"), datetime.strptime(head["date"], DATE)
        written_by = head["written by"]
        mmdebstrap = parse(head["installed by"], f"{shown(base.lock_path)}: installed by", base)
    except (KeyError, ValueError) as error:
        raise SeedbedError(f"{shown(base.lock_path)}: its header is not whole ({error}); {remedy(base)}") from None
    return Lock(inputs, date, written_by, mmdebstrap, tuple(packages))


def check(base: Base) -> Lock:
    """The base's lock, proven to belong to the image.yaml beside it, without a network; raises `SeedbedError`."""
    lock = read(base)
    if lock.inputs != inputs_of(base):
        raise SeedbedError(f"{shown(base.lock_path)}: stale, its inputs changed since it was made; {remedy(base)}")
    if lock.writer != writer.identity():
        raise SeedbedError(
            f"{shown(base.lock_path)}: its layers are written by {lock.writer}, here they would be by "
            f"{writer.identity()}; {remedy(base)}"
        )
    python = lock.version("python3")
    if python and not python.startswith(f"{base.python}."):
        raise UsageError(f"{base.where('python')}: says {base.python}, but {base.suite} ships {python}")
    return lock


def pins(base: Base) -> list[str]:
    """The packages that image.yaml names, as `name=version`: the form in which apt-get takes a locked version."""
    lock = check(base)
    return [f"{name}={lock.version(name)}" for name in sorted(base.packages)]


def layer(base: Base, store: Store, *, locked: bool, level: int, log: Log) -> tuple[Layer, tuple[str, ...]]:
    """The base's root file system as a layer, and what moved, as `name: locked version -> version in the layer`.

    Nothing moved: the layer holds exactly what the lock says. `level` is zstd's. Raises `SeedbedError` where the lock
    is stale, the host is not fit, or `locked` and a package cannot be had any more.
    """
    lock = check(base)
    if known := store.find(key_of(base, lock, level), what=what(base)):
        return known, ()
    bootstrap.check_host()
    found, moved = fetch(base, lock, locked=locked, log=log)

    def make_layer() -> Layer:
        with step(f"{base.name}: {len(found.packages)} Debian packages into a root file system"):
            return write_layer(base, found, store, level)

    return store.layer(key_of(base, found, level), make_layer, what=what(base)), moved


def write_layer(base: Base, lock: Lock, store: Store, level: int) -> Layer:
    debs = Debs(folder_of_packages(), lock.mmdebstrap, lock.packages)
    epoch = base.source_date_epoch
    with scratch.folder(paths.cache()) as folder:
        tar = bootstrap.install(debs, suite=base.suite, epoch=epoch, scratch=folder)
        return tar_to_layer(store, tar, epoch=epoch, level=level, what=what(base), keep=bootstrap.belongs)


def what(base: Base) -> str:
    return f"Debian {base.suite}: {', '.join(sorted(base.packages))}"


def fetch(base: Base, lock: Lock, *, locked: bool, log: Log) -> tuple[Lock, tuple[str, ...]]:
    """Bring every package into the cache. Returns what was brought, as a lock, and what of `lock` moved."""
    archive = archive_of(base)
    try:
        archive.fetch([lock.mmdebstrap, *lock.packages], folder_of_packages())
        return lock, ()
    except PackageGone as gone:
        dropped = gone.packages
    names = ", ".join(f"{package.name}={package.version}" for package in dropped)
    log(f"{base.name}: the archive has dropped {names}; asking a snapshot of {lock.date:%Y-%m-%d}")
    try:
        fetch_from_snapshots(base, lock.date, dropped)
        return lock, ()
    except SeedbedError as error:
        if locked:
            raise SeedbedError(
                f"the Debian archive has dropped {names}, and {error}; "
                f"name another snapshot archive in SEEDBED_SNAPSHOT, or {remedy(base)}"
            ) from None
        log(f"{base.name}: {error}; going on with what the archive has now")
    newest = make(base, f"{lock.date:{DATE}}")
    archive.fetch([newest.mmdebstrap, *newest.packages], folder_of_packages())
    return newest, moves(lock, newest)


def fetch_from_snapshots(base: Base, date: datetime, packages: Sequence[Package]) -> None:
    """Raises `SeedbedError` where no snapshot archive is known or reached, or lacks one of the packages."""
    # A snapshot is taken a few times a day: what came out just before the lock is only in a later one.
    for moment in (date, date + timedelta(days=1)):
        try:
            return snapshot_of(base, moment).fetch(packages, folder_of_packages())
        except PackageGone as gone:
            packages = gone.packages
    raise SeedbedError(f"no snapshot of {date:%Y-%m-%d} has {', '.join(package.name for package in packages)}")


def moves(before: Lock, after: Lock) -> tuple[str, ...]:
    """What differs between the packages of two locks, as `name: version -> version`."""
    old, new = ({package.name: package for package in (lock.mmdebstrap, *lock.packages)} for lock in (before, after))
    return tuple(
        f"{name}: {old[name].version if name in old else 'none'} -> {new[name].version if name in new else 'none'}"
        for name in sorted(old.keys() | new.keys())
        if name not in old or name not in new or old[name].sha256 != new[name].sha256
    )


def archive_of(base: Base) -> Archive:
    return Archive(paths.cache() / "apt" / base.suite, suite=base.suite)


def snapshot_of(base: Base, moment: datetime) -> Archive:
    """The archive as it stood then; raises `SeedbedError` where no snapshot archive is known."""
    address = os.environ.get("SEEDBED_SNAPSHOT") or noted_snapshot()
    if address is None:
        raise SeedbedError("no snapshot archive is known (SEEDBED_SNAPSHOT is not set)")
    snapshot = Snapshot(address, f"{moment:%Y%m%dT%H%M%SZ}")
    return Archive(paths.cache() / "apt" / f"{base.suite}-{snapshot.timestamp}", suite=base.suite, snapshot=snapshot)


def noted_snapshot() -> str | None:
    """The snapshot archive that Debian's own container images note in a comment beside their apt sources."""
    note = re.compile(r"^# *(\S+)/debian/\d{8}T\d{6}Z$", re.MULTILINE)
    sources = sorted((debian.APT_CONFIGURATION / "sources.list.d").glob("*.sources"))
    found = (note.search(path.read_text(encoding="utf-8")) for path in sources)
    return next((match[1] for match in found if match), None)


def folder_of_packages() -> Path:
    return paths.cache() / "packages"


def inputs_of(base: Base) -> str:
    """The hex sha256 of all that decides what a lock holds, its date apart."""
    packages = sorted([ESSENTIAL, *base.packages])
    inputs = {"format": FORMAT, "architecture": ARCHITECTURE, "suite": base.suite, "packages": packages}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def key_of(base: Base, lock: Lock, level: int) -> str:
    """The name the store remembers the layer by: a hash of all that its bytes depend on."""
    packages = [package.sha256 for package in (lock.mmdebstrap, *lock.packages)]
    inputs = {"suite": base.suite, "packages": packages, "epoch": base.source_date_epoch, "level": level}
    return layer_key("base", inputs | {"recipe": bootstrap.RECIPE})


def entry(package: Package) -> str:
    return f"{package.name}={package.version} sha256:{package.sha256} {package.size} {package.filename}"


def parse(text: str, where: str, base: Base) -> Package:
    if found := ENTRY.fullmatch(text):
        return Package(**found.groupdict() | {"size": int(found["size"])})
    form = "NAME=VERSION sha256:<64 hex digits> SIZE pool/PATH.deb"
    raise SeedbedError(f"{where}: expected {form}; {remedy(base)}")


def remedy(base: Base) -> str:
    return f"run ./build.py lock {base.name}"
