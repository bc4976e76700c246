"""A Debian archive that is none: packages to lock, and a base that is made of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.catalog import models, source
from builder.catalog.models import Base
from builder.debian.archive import Package, PackageGone

DATE = "2026-02-03T04:05:06Z"
IMAGE = """\
kind: base
suite: bookworm
python: "3.11"
epoch: 2025-01-01
registry: debian:bookworm-slim@sha256:{digest}
packages: [python3, tini]
"""


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
