"""Locks of Debian packages. Only this module asks the archive which versions exist."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from builder import files, paths
from builder.catalog.models import Base
from builder.debian.archive import Archive, Package
from builder.errors import SeedbedError, UsageError
from builder.lock import lockfile, toolchain
from builder.lock.lockfile import remedy
from builder.reading import shown

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
    """A packages.lock as read. `date` (UTC): when it was resolved; `writer`: the toolchain that writes layers."""

    inputs: str
    date: datetime
    writer: str
    mmdebstrap: Package
    packages: tuple[Package, ...]

    @property
    def everything(self) -> tuple[Package, ...]:
        return self.mmdebstrap, *self.packages

    def version(self, name: str) -> str | None:
        return next((package.version for package in self.packages if package.name == name), None)

    def render(self, base: Base) -> str:
        """The file's text: one package a line, sorted by name, with its path in the pool and no host."""
        header = {
            "format": FORMAT,
            "inputs": f"sha256:{self.inputs}",
            "date": f"{self.date:{DATE}}",
            "suite": base.suite,
            "architecture": ARCHITECTURE,
            "written by": self.writer,
            "installed by": entry(self.mmdebstrap),
        }
        return lockfile.render(base.name, "image.yaml", header, map(entry, self.packages))


def make(base: Base, date: str) -> Lock:
    """Resolve the base's packages as the archive stands now; `date` (RFC 3339, UTC) says when that is."""
    archive = archive_of(base)
    archive.update()
    [mmdebstrap] = archive.resolve(["mmdebstrap"], dependencies=False)
    packages = archive.resolve([ESSENTIAL, *base.packages])
    return Lock(inputs_of(base), datetime.strptime(date, DATE), toolchain.identity(), mmdebstrap, tuple(packages))


def write(base: Base, lock: Lock) -> None:
    files.write(base.lock_path, lock.render(base))


def read(base: Base) -> Lock:
    """The base's lock; raises `SeedbedError` if it is missing or a line is malformed."""
    parse = partial(package_in, base=base)
    header, packages = lockfile.read(base.lock_path, base.name, parse)
    try:
        inputs, date = header["inputs"].removeprefix("sha256:"), datetime.strptime(header["date"], DATE)
        mmdebstrap = parse(header["installed by"], f"{shown(base.lock_path)}: installed by")
        return Lock(inputs, date, header["written by"], mmdebstrap, packages)
    except (KeyError, ValueError) as error:
        where = shown(base.lock_path)
        raise SeedbedError(f"{where}: its header is not whole ({error}); {remedy(base.name)}") from None


def check(base: Base) -> Lock:
    """The base's lock, proven to belong to the image.yaml beside it, without a network; raises `SeedbedError`."""
    lock = read(base)
    lockfile.refuse_stale(base.lock_path, base.name, lock.inputs, inputs_of(base))
    if lock.writer != toolchain.identity():
        raise SeedbedError(
            f"{shown(base.lock_path)}: its layers are written by the toolchain {lock.writer}; "
            f"this checkout has {toolchain.identity()}; {remedy(base.name)}"
        )
    python = lock.version("python3")
    if python and not python.startswith(f"{base.python}."):
        raise UsageError(f"{base.where('python')}: says {base.python}, but {base.suite} ships {python}")
    return lock


def archive_of(base: Base) -> Archive:
    return Archive(paths.cache() / "apt" / base.suite, suite=base.suite)


def inputs_of(base: Base) -> str:
    """The hex sha256 of all inputs that decide what the lock contains, except its date."""
    packages = sorted([ESSENTIAL, *base.packages])
    inputs = {"format": FORMAT, "architecture": ARCHITECTURE, "suite": base.suite, "packages": packages}
    return lockfile.hash_of(inputs)


def entry(package: Package) -> str:
    return f"{package} {package.digest} {package.size} {package.filename}"


def package_in(text: str, where: str, base: Base) -> Package:
    if found := ENTRY.fullmatch(text):
        return Package(**found.groupdict() | {"size": int(found["size"])})
    form = "NAME=VERSION sha256:<64 hex digits> SIZE pool/PATH.deb"
    raise SeedbedError(f"{where}: expected {form}; {remedy(base.name)}")
