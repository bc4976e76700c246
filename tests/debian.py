"""Debian for tests, from this host's archive: a small system as a tar, and programs that are not installed."""

from pathlib import Path

from builder.debian import archive, bootstrap, sources
from builder.debian.archive import Archive

SUITE = "bookworm"


def unpacked(names: list[str], folder: Path) -> Path:
    """The folder with these packages, and with what they need; freshly fetched."""
    latest = Archive(folder / "archive", suite=sources.host_codename())
    latest.update()
    # The libc has to be the one the host's loader belongs to.
    packages = [package for package in latest.resolve(names) if package.name != "libc6"]
    for deb in latest.fetch(packages, folder / "debs"):
        archive.unpack(deb, folder / "programs")
    return folder / "programs"


def small_debian(folder: Path) -> Path:
    """What a registry would have as `debian:…-slim`."""
    latest = Archive(folder / "apt", suite=SUITE)
    latest.update()
    [mmdebstrap] = latest.resolve(["mmdebstrap"], dependencies=False)
    packages = latest.resolve(["?essential", "apt", "debian-archive-keyring", "usr-is-merged"])
    debs, scratch = folder / "debs", folder / "scratch"
    latest.fetch([mmdebstrap, *packages], debs)
    scratch.mkdir()
    return bootstrap.install(mmdebstrap, packages, folder=debs, suite=SUITE, epoch=0, scratch=scratch)
