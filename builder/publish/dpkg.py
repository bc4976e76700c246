"""What dpkg and the copyright files in a base layer say of Debian's packages."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter

from builder.debian.sources import stanzas
from builder.errors import SeedbedError
from builder.image import assemble
from builder.oci.tar import opened

STATUS, RELEASE = "var/lib/dpkg/status", "usr/lib/os-release"
COPYRIGHT = re.compile(r"usr/share/doc/([^/]+)/copyright")
DOCUMENTS = re.compile(r"usr/share/doc/([^/]+)")


@dataclass(frozen=True)
class Source:
    """A source package."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Package:
    """An installed package, as dpkg's status has it. `copyright` is its file's text, empty if it has none."""

    name: str
    version: str
    architecture: str
    source: Source
    maintainer: str
    copyright: str


@dataclass(frozen=True)
class Base:
    """The base layer of an image: its release (`ID`, `VERSION_ID`, …) and its packages, sorted by name."""

    release: Mapping[str, str]
    packages: tuple[Package, ...]

    @property
    def version(self) -> str:
        """Of the release; testing has no number yet."""
        return self.release.get("VERSION_ID") or self.release["VERSION_CODENAME"]


def read(layer: str) -> Base:
    """The base layer of this digest, which is in the store; raises SeedbedError if it has no dpkg."""
    texts: dict[str, str] = {}
    links: dict[str, str] = {}
    with opened(assemble.store().proven(layer, "the base's layer")) as tar:
        for member in tar:
            if member.issym() and (found := DOCUMENTS.fullmatch(member.name)):
                links[found[1]] = posixpath.basename(posixpath.normpath(member.linkname))
            elif member.isreg() and (member.name in (STATUS, RELEASE) or COPYRIGHT.fullmatch(member.name)):
                texts[member.name] = tar.extractfile(member).read().decode(errors="replace")
    if missing := [path for path in (STATUS, RELEASE) if path not in texts]:
        raise SeedbedError(f"{layer}: expected a base of Debian, found no /{missing[0]} in it")
    copyrights = {found[1]: text for path, text in texts.items() if (found := COPYRIGHT.fullmatch(path))}
    copyrights |= {name: copyrights[target] for name, target in links.items() if target in copyrights}
    found = (package_of(entry, copyrights) for entry in stanzas(texts[STATUS]))
    return Base(release_of(texts[RELEASE]), tuple(sorted(found, key=attrgetter("name"))))


def package_of(entry: Mapping[str, str], copyrights: Mapping[str, str]) -> Package:
    """`Source: gcc-12 (12.2.0-14)` is there if the source has another name or version than the package."""
    source, _, version = entry.get("Source", entry["Package"]).partition(" ")
    return Package(
        entry["Package"],
        entry["Version"],
        entry["Architecture"],
        Source(source, version.strip("()") or entry["Version"]),
        entry.get("Maintainer", ""),
        copyrights.get(entry["Package"], ""),
    )


def release_of(text: str) -> dict[str, str]:
    """os-release(5)."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: value.strip('"') for name, _, value in pairs}
