"""A small Debian as a tar, made of packages of this host's archive: what a registry would have as `debian:…-slim`."""

from pathlib import Path

from builder.debian import bootstrap
from builder.debian.archive import Archive
from builder.debian.bootstrap import Debs

SUITE = "bookworm"


def small_debian(folder: Path) -> Path:
    archive = Archive(folder / "apt", suite=SUITE)
    archive.update()
    [mmdebstrap] = archive.resolve(["mmdebstrap"], dependencies=False)
    packages = archive.resolve(["?essential", "apt", "debian-archive-keyring", "usr-is-merged"])
    archive.fetch([mmdebstrap, *packages], folder / "debs")
    scratch = folder / "scratch"
    scratch.mkdir()
    return bootstrap.install(Debs(folder / "debs", mmdebstrap, packages), suite=SUITE, epoch=0, scratch=scratch)
