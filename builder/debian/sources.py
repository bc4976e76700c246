"""The host's apt sources: Debian's own among them, as they are or for another suite or a snapshot.

Third parties' are not read. The suite may be swapped: a bookworm host can so read trixie.

Source: sources.list(5), deb822(5).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from builder import reading
from builder.errors import SeedbedError

APT_CONFIGURATION = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")

ONE_LINE_ENTRY = re.compile(
    r"\s*(?P<Types>deb)\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<URIs>\S+)\s+(?P<Suites>\S+)\s+(?P<Components>[^#]+)"
)
DEB822_FIELD = re.compile(r"^([^\s:]+):(.*(?:\n[ \t].*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Snapshot:
    """One state of an archive that keeps every state of Debian; `timestamp` like 20260131T000000Z."""

    address: str
    timestamp: str

    def uri(self, archive: str) -> str:
        return f"{self.address.rstrip('/')}/{archive}/{self.timestamp}"


@dataclass(frozen=True)
class Source:
    """One suite of `archive`, debian or debian-security. `options` are the deb822 fields on whom to trust."""

    uri: str
    suite: str
    archive: str
    options: tuple[tuple[str, str], ...] = ()


def host_sources() -> list[Source]:
    """Debian's own entries among the host's apt sources, for the release the host runs.

    Debian's own means: the address names debian, it has the component main for this release, and where
    a key is named, it is one of Debian's. Raises SeedbedError when there is none, and for a password in an address:
    apt is given addresses as arguments, and in files of the cache.
    """
    codename = host_codename()
    listed = [APT_CONFIGURATION / "sources.list", *sorted((APT_CONFIGURATION / "sources.list.d").glob("*"))]
    entries = [entry for file in listed if file.is_file() for entry in entries_of(file)]
    sources = [source for entry in entries for source in debian_sources(entry, codename)]
    if not any(source.suite == codename for source in sources):
        raise SeedbedError(
            f"{APT_CONFIGURATION} names no Debian archive with the suite {codename} and the component main: "
            f"add one, as Debian's installer writes it"
        )
    if any("@" in urlsplit(source.uri).netloc for source in sources):
        raise SeedbedError(
            f"{APT_CONFIGURATION}: the address of a Debian archive has a password in it, for anybody to read: "
            f"move it to a file in {APT_CONFIGURATION / 'auth.conf.d'}, where apt finds it (apt_auth.conf(5))"
        )
    return sources


def sources_text(suite: str) -> str:
    """The host's own Debian sources, for `suite`, as the text of a deb822 sources file."""
    return sources_file(sources_of(suite))


def host_codename() -> str:
    """The release this host runs, such as bookworm."""
    for line in reading.text(OS_RELEASE).splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise SeedbedError(f"{OS_RELEASE} names no VERSION_CODENAME: a released Debian is needed")


def sources_of(suite: str, snapshot: Snapshot | None = None) -> list[Source]:
    """The host's own Debian sources, for `suite` (bookworm-security becomes trixie-security), or in a snapshot."""
    codename = host_codename()
    found = [replace(source, suite=suite + source.suite.removeprefix(codename)) for source in host_sources()]
    if snapshot is None:
        return found
    old = ("Check-Valid-Until", "no")  # a snapshot's lists are old by nature
    return [replace(source, uri=snapshot.uri(source.archive), options=(*source.options, old)) for source in found]


def sources_file(sources: Iterable[Source]) -> str:
    """Their text in the format deb822."""
    entries = (
        [("Types", "deb"), ("URIs", source.uri), ("Suites", source.suite), ("Components", "main"), *source.options]
        for source in sources
    )
    return "\n".join("".join(f"{name}: {value}\n" for name, value in entry) for entry in entries)


def entries_of(file: Path) -> list[dict[str, str]]:
    """A sources file as deb822 entries, in whichever of apt's two formats it is written."""
    if file.suffix not in (".sources", ".list"):
        return []  # apt reads no other names either
    text = reading.data(file).decode(errors="replace")
    if file.suffix == ".sources":
        return stanzas(text)
    return [entry for line in text.splitlines() if (entry := one_line_entry(line))]


def one_line_entry(line: str) -> dict[str, str] | None:
    if not (found := ONE_LINE_ENTRY.match(line)):
        return None
    entry = found.groupdict(default="")
    options = dict(option.partition("=")[::2] for option in entry.pop("options").split())
    return entry | {name.title(): value for name, value in options.items()}


def debian_sources(entry: dict[str, str], codename: str) -> list[Source]:
    key = entry.get("Signed-By", "")
    is_debian = (
        "deb" in entry.get("Types", "").split()
        and entry.get("Enabled", "yes").lower() not in ("no", "false", "0")
        and "main" in entry.get("Components", "").split()
        and ("debian" in key or not key.startswith("/"))
    )
    uris = [uri for uri in map(resolved, entry.get("URIs", "").split()) if "debian" in uri]
    if not (is_debian and uris):
        return []
    options = tuple((name, entry[name]) for name in ("Signed-By", "Trusted") if name in entry)
    wanted = (codename, f"{codename}-updates", f"{codename}-security")
    return [
        Source(uris[0], suite, "debian-security" if suite.endswith("-security") else "debian", options)
        for suite in entry.get("Suites", "").split()
        if suite in wanted
    ]


def resolved(uri: str) -> str:
    """The address itself, or the first one of the mirror list that cloud images put in its place."""
    if uri.startswith("mirror+file:"):
        listed = reading.text(Path(uri.removeprefix("mirror+file:"))).split()
        uri = listed[0] if listed else ""
    return uri.rstrip("/")


def stanzas(text: str) -> list[dict[str, str]]:
    """The entries of a deb822 text; continuation lines stay as they are written."""
    text = re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)
    blocks = re.split(r"\n(?:[ \t]*\n)+", text.strip())
    return [{name: value.strip() for name, value in DEB822_FIELD.findall(block)} for block in blocks if block]
