"""A Debian archive seen through the host's own apt configuration, without touching the host's packages.

apt runs with lists, status and cache of its own, so that it plans for an empty system; mirrors, keys, proxies
and certificate authorities stay the host's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from builder import commands, files, network, scratch
from builder.debian import sources
from builder.debian.sources import Snapshot, host_sources, sources_file, sources_of, stanzas
from builder.errors import SeedbedError

APT_HELPER = "/usr/lib/apt/apt-helper"
SPACE_FOR_LISTS = 200_000_000  # bytes


@dataclass(frozen=True)
class Package:
    """One binary package: `filename` is its pool path as the archive names it, `size` is in bytes."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    filename: str

    def __str__(self) -> str:
        return f"{self.name}={self.version}"

    @property
    def digest(self) -> str:
        return f"sha256:{self.sha256}"

    def file(self, folder: Path) -> Path:
        """Its place in a folder of packages, whether it is there or not."""
        return folder / f"{self.sha256}.deb"

    def proven(self, folder: Path) -> Path:
        """Its file there. Raises SeedbedError if that has another sha256: what is in it runs as root."""
        files.check_sha256(self.file(folder), self.sha256, str(self))
        return self.file(folder)


class PackageGone(SeedbedError):
    """The archive no longer has these packages; a snapshot of the lock's date still may."""

    def __init__(self, packages: Sequence[Package]) -> None:
        self.packages = tuple(packages)
        names = ", ".join(map(str, packages))
        super().__init__(
            f"the Debian archive has dropped {names}: name a snapshot archive that keeps it, or lock again"
        )


class NotFetched(SeedbedError):
    """The archive could not be reached, or sent other bytes: it is not known whether it has the package."""


class Archive:
    """One suite of Debian with its updates and security updates, or one snapshot of it.

    Everything apt writes stands under `directory`; two processes may share it.
    """

    def __init__(self, directory: Path, *, suite: str, snapshot: Snapshot | None = None) -> None:
        self.suite = suite
        self.directory = directory.absolute()
        self.sources = sources_of(suite, snapshot)
        self._configuration = self.directory / "apt.conf"
        with files.in_one_line(self.directory):
            for folder in ("lists/partial", "cache/archives/partial", "sources.d"):
                (self.directory / folder).mkdir(parents=True, exist_ok=True)
        write_if_other(self.directory / "status", "")
        write_if_other(self.directory / "sources.d/debian.sources", sources_file(self.sources))
        write_if_other(self._configuration, APT_CONF.format(directory=self.directory))

    def update(self) -> None:
        """Read the archive's lists anew; cheap where they have not changed."""
        if shutil.disk_usage(self.directory).free < SPACE_FOR_LISTS:  # on a full disk apt waits for ever
            needed = f"{SPACE_FOR_LISTS // 1_000_000} MB"
            raise SeedbedError(f"the lists of {self.suite} need {needed}: {files.no_space(self.directory)}")
        with files.locked(self.directory / "lock"):
            self._apt("apt-get", "update", doing=f"read the lists of {self.suite}")

    def resolve(self, names: Sequence[str], *, dependencies: bool = True) -> list[Package]:
        """What apt would install into an empty system for `names`, without Recommends, sorted by name.

        A name may be any pattern apt takes: `?essential` and `?priority(required)` ask for a base system.
        Without `dependencies` it is the newest version of just these packages. Needs the lists (`update`).
        """
        if not dependencies:
            return self._describe(names)
        plan = self._apt("apt-get", "install", "--simulate", *names, doing=f"resolve {' '.join(names)} in {self.suite}")
        chosen = re.findall(r"^Inst (\S+) \((\S+) ", plan, re.MULTILINE)
        return self._describe([f"{name}={version}" for name, version in chosen])

    def fetch(self, packages: Sequence[Package], into: Path) -> list[Path]:
        """Bring the packages to their files in `into`, and return these; what is there already is kept.

        Asks for the files by their pool path, so it needs no lists. Raises PackageGone, after the rest
        has been brought, when the archive lacks some; NotFetched when it cannot be reached or sends
        other bytes.
        """
        into.mkdir(parents=True, exist_ok=True)
        if missing := [package for package in packages if not package.file(into).exists()]:
            self._download(missing, into)
        return [package.file(into) for package in packages]

    def _describe(self, names: Sequence[str]) -> list[Package]:
        shown = self._run("apt-cache", "show", "--no-all-versions", *names).stdout
        # One version may stand in two archives: apt shows first the one it would take.
        packages = {entry["Package"]: package_in(entry) for entry in reversed(stanzas(shown))}
        if unknown := sorted({name.partition("=")[0] for name in names} - packages.keys()):
            raise SeedbedError(
                f"Debian {self.suite} has no package {', '.join(unknown)}: check the spelling and the suite"
            )
        return [packages[name] for name in sorted(packages)]

    def _download(self, packages: Sequence[Package], into: Path) -> None:
        with scratch.folder(into) as partial:
            targets = {package: partial / package.sha256 for package in packages}
            wanted = [
                word
                for package, target in targets.items()
                for word in (self._uri(package), str(target), f"SHA256:{package.sha256}")
            ]
            done = self._run(APT_HELPER, "download-file", *wanted)
            for package, target in targets.items():
                if target.exists() and files.sha256(target) == package.sha256:
                    target.rename(package.file(into))
        if lacking := [package for package in targets if not package.file(into).exists()]:
            raise failed_download(lacking, done.stderr)

    def _uri(self, package: Package) -> str:
        # pool/updates/ is how the security archive names its pool
        archive = "debian-security" if package.filename.startswith("pool/updates/") else "debian"
        for source in self.sources:
            if source.archive == archive:
                uri = re.sub("^file:", "copy:", source.uri)  # apt would only link to a file
                return f"{uri}/{package.filename}"
        raise SeedbedError(
            f"{package.name} is in the archive {archive}, which the host's apt sources do not name: "
            f"add it under {sources.APT_CONFIGURATION}"
        )

    def _apt(self, command: str, *arguments: str, doing: str) -> str:
        done = self._run(command, *arguments)
        if done.returncode:
            raise SeedbedError(f"apt could not {doing}: {complaint(done.stderr)}")
        return done.stdout

    def _run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        configured = [command, "-c", str(self._configuration), *arguments]
        done = commands.run(configured, env={**os.environ, "LC_ALL": "C.UTF-8"})
        files.check_space(done.stderr, self.directory)
        return done


def unpack(deb: Path, into: Path) -> None:
    """Write the package's files under `into`, running none of its scripts."""
    into.mkdir(parents=True, exist_ok=True)
    dpkg_deb("--extract", deb, into)


def dpkg_deb(action: str, deb: Path, *arguments: Path) -> str:
    """What dpkg-deb prints; raises SeedbedError, naming the package's file, if it fails."""
    done = commands.run(["dpkg-deb", action, deb, *arguments])
    if done.returncode:
        files.check_space(done.stderr, deb)
        raise SeedbedError(f"{deb} could not be unpacked: {complaint(done.stderr)}")
    return done.stdout


def host_supported() -> str | None:
    """None where Debian packages can be fetched and unpacked on this host, else why not and what to do."""
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        return f"this host has no {' and no '.join(missing)}: use one of the Debian family"
    if os.geteuid() != 0:
        return "this needs root: run it with sudo, or as root in a virtual machine"
    try:
        host_sources()
    except SeedbedError as error:
        return str(error)
    return None


APT_CONF = """\
Dir::State "{directory}";
Dir::State::status "{directory}/status";
Dir::Cache "{directory}/cache";
Dir::Log "{directory}";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{directory}/sources.d";
// The host's pins are about the host.
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Install-Recommends "false";
// The user _apt cannot write to a private folder.
APT::Sandbox::User "root";
// The host's hooks would act on the host.
#clear APT::Update;
#clear DPkg;
// Otherwise an archive that cannot be reached is only a warning.
APT::Update::Error-Mode "any";
Acquire::Languages "none";
"""


def package_in(entry: dict[str, str]) -> Package:
    name, version, architecture = entry["Package"], entry["Version"], entry["Architecture"]
    return Package(name, version, architecture, entry["SHA256"], int(entry["Size"]), entry["Filename"])


def failed_download(lacking: Sequence[Package], stderr: str) -> SeedbedError:
    """PackageGone if the archive has none of these packages; otherwise why the first of the others did not come."""
    said = [line.removeprefix("E: Failed to fetch ").partition("  ") for line in stderr.splitlines()]
    reasons = {unquote(uri): reason for uri, _, reason in said if reason}
    for package in lacking:
        own = (reason for uri, reason in reasons.items() if uri.endswith(package.filename))
        if not re.search("404|No such file", reason := next(own, first_error(stderr))):
            return NotFetched(f"{package} could not be fetched: {with_remedy(reason, reason)}")
    return PackageGone(lacking)


def complaint(stderr: str) -> str:
    return with_remedy(first_error(stderr), stderr)


def first_error(stderr: str) -> str:
    """Why apt, or a program that speaks like it, failed; the end of what it printed if it names no error."""
    errors = [line.removeprefix("E: ") for line in stderr.splitlines() if line.startswith("E: ")]
    return errors[0] if errors else " ".join(stderr.split())[-400:] or "it gave no reason"


REMEDIES = (  # what apt complains of, and what to do
    *network.CLOCK,
    (
        r"NO_PUBKEY|EXPKEYSIG|Missing key",
        "upgrade the package debian-archive-keyring: it brings the keys of newer releases",
    ),
    (r"Hash Sum mismatch", "the mirror or a proxy sends other bytes than were locked: check both"),
    (r"certificate", "make the host's apt trust the mirror's authority (Acquire::https::CAInfo)"),
    (r"resolve '|connect|Connection", "check the network, and the host's apt mirror and proxy"),
    (r"Unable to locate|no installation candidate|Release file", "check the spelling and the suite"),
    (r"unmet dependencies|broken packages", "these packages do not fit together in this suite"),
)


def with_remedy(complaint: str, said: str) -> str:
    """The complaint and what to do about it; the telling sign may be in a warning beside it."""
    return network.with_remedy(complaint.rstrip("."), said, REMEDIES)


def write_if_other(path: Path, text: str) -> None:
    """Replace the file only where it differs: apt drops its cache when a source is newer than it."""
    if path.exists() and path.read_text() == text:
        return
    files.write(path, text)
