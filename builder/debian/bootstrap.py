"""A Debian root file system from given packages, as a tar, by mmdebstrap.

mmdebstrap runs from a scratch folder, under a clean environment and without a network. What it makes depends on the
packages, the epoch and RECIPE, and on nothing of the host: neither its release, its apt, its clock nor its locale.
"""

import os
import platform
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from builder import commands, files, paths
from builder.debian import archive
from builder.debian.archive import Package
from builder.errors import SeedbedError
from builder.text import matches

LEFT_OUT = (
    "usr/share/doc/*",
    "usr/share/info/*",
    "usr/share/lintian/*",
    "usr/share/locale/*",
    "usr/share/man/*/*",  # the folders stay: some packages link into them when they are configured
    "usr/bin/*-lto-dump-*",  # 32 MB for those who debug gcc
    "usr/lib/python3*/config-*/*.a",  # 24 MB for those who link Python into their program
)
"""Of every package, also of those installed later; as dpkg's patterns, which `matches` reads alike."""

KEPT = ("usr/share/doc/*/copyright", "usr/share/locale/locale.alias")

TRACES = (
    "dev/*",
    "etc/group-",
    "etc/hostname",
    "etc/passwd-",
    "etc/resolv.conf",
    "var/cache/apt/archives/*",
    "var/cache/debconf/*-old",
    "var/lib/apt/lists/*",  # apt makes them anew, for an owner that depends on its release
    "var/lib/dpkg/*-old",
    "var/log/*.log",
    "var/log/apt/*",
)
"""What the installation left: backups, logs, and files that a container gets from whoever runs it."""

DPKG_CONFIGURATION = "\n".join(
    [
        "force-unsafe-io",  # nothing here has to survive a power cut half-way
        *(f"path-exclude=/{pattern}" for pattern in LEFT_OUT),
        *(f"path-include=/{pattern}" for pattern in KEPT),
    ]
)

APT_CONFIGURATION = """\
Acquire::Languages "none";
APT::Keep-Downloaded-Packages "false";"""

SETUP = f"""\
set -eu
cd "$1"
for folder in bin sbin lib lib32 lib64 libx32; do
    mkdir -p "usr/$folder"
    ln -s "usr/$folder" "$folder"
done
mkdir -p etc/dpkg/dpkg.cfg.d
cat > etc/dpkg/dpkg.cfg.d/seedbed <<'END'
{DPKG_CONFIGURATION}
END
"""

DROP_PRIVILEGES = "chmod ug-s"
"""No program gives its user another's rights: su, mount, passwd and their like have no use in a container."""

# Debian's own addresses come from the locked package apt; the build's mirror must not enter the image.
CUSTOMIZE = f"""\
set -eu
cd "$1"
rm etc/apt/sources.list
sed -n 's/^\\(deb .* main\\) .*/\\1/p' usr/share/doc/apt/examples/sources.list > etc/apt/sources.list
test -s etc/apt/sources.list
cat > etc/apt/apt.conf.d/seedbed <<'END'
{APT_CONFIGURATION}
END
find usr -type f -perm /6000 -exec {DROP_PRIVILEGES} {{}} +
"""

LIST_INSTALLED = "chroot \"$1\" dpkg-query --show --showformat '${Package}=${Version}\\n'"

OPTIONS = ("--mode=root", "--variant=apt", "--format=tar", f"--setup-hook={SETUP}", f"--customize-hook={CUSTOMIZE}")

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
    "PYTHONDONTWRITEBYTECODE": "1",  # what an import writes is dated, and stale once the layer sets the dates
}
"""What mmdebstrap and the packages' scripts see. SOURCE_DATE_EPOCH joins it: with that, Debian's Python writes bytecode
that is checked by its source's hash, so it is the same in every build and outlives the dates."""

RECIPE = (OPTIONS, ENVIRONMENT, LEFT_OUT, KEPT, TRACES)
"""All of this module that the root file system depends on."""

ENDS_WITH_US = ("setpriv", "--pdeathsig=KILL")

# Its own network: there is none. Its own processes and mounts: they end with us, whatever ends us.
CONFINED = (*ENDS_WITH_US, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")


def install(
    mmdebstrap: Package, packages: Sequence[Package], *, folder: Path, suite: str, epoch: int, scratch: Path
) -> Path:
    """Install the packages, and nothing else, into a root file system; returns its tar, inside `scratch`.

    All are in `folder`. `epoch` (seconds since 1970) stands for now. The tar still holds what `belongs` says no to.
    Raises SeedbedError if a package has other bytes than its sha256 says, or if the installation fails.
    """
    archive.unpack(mmdebstrap.proven(folder), scratch / "mmdebstrap")
    write_archive({package: package.proven(folder) for package in packages}, scratch / "archive")
    tar, installed = scratch / "root.tar", scratch / "installed"
    command = [*confinement(), scratch / "mmdebstrap/usr/bin/mmdebstrap", *OPTIONS]
    command += [f"--customize-hook={LIST_INSTALLED} > {shlex.quote(str(installed))}"]
    command += [f"--include={','.join(package.name for package in packages)}"]
    command += [suite, tar, f"deb [trusted=yes] copy:{quote(str(scratch / 'archive'))} ./"]
    environment = ENVIRONMENT | {"SOURCE_DATE_EPOCH": str(epoch), "TMPDIR": str(scratch)}
    done = commands.run(command, env=environment, umask=0o022)
    if done.returncode:
        files.check_space(done.stderr, scratch)
        raise SeedbedError(f"mmdebstrap failed: {archive.first_error(done.stderr)}")
    check_installed(packages, installed.read_text(encoding="utf-8").split())
    return tar


def belongs(path: str) -> bool:
    """Whether the file at `path` (no leading slash) is part of the base, and not of making it."""
    return not matches(path, TRACES) and (matches(path, KEPT) or not matches(path, LEFT_OUT))


def check_host() -> None:
    """Raise SeedbedError where this host cannot bootstrap Debian."""
    if found := trouble():
        raise SeedbedError(
            f"Debian cannot be bootstrapped here: {found}; or start Docker: builds then run in a container of it"
        )


def trouble() -> str | None:
    """Why this host cannot bootstrap Debian, and what to do; None where it can."""
    if reason := archive.host_supported():
        return reason
    if platform.machine() != "x86_64":
        return f"expected an x86_64 processor, found {platform.machine()}"
    if missing := [tool for tool in ("perl", "setpriv", "tar", "unshare") if shutil.which(tool) is None]:
        return f"this host has no {' and no '.join(missing)}: install it"
    if commands.run([*confinement(), "true"]).returncode:
        return "this root may not make namespaces: run outside the container, or give it CAP_SYS_ADMIN"
    return None


def confinement() -> Sequence[str]:
    """What mmdebstrap is run by. A container that ends with the command has its own processes and mounts, and lets
    nobody make further namespaces."""
    return ENDS_WITH_US if paths.THROWAWAY in os.environ else CONFINED


def write_archive(debs: Mapping[Package, Path], folder: Path) -> None:
    """An archive of just these packages, for apt."""
    folder.mkdir()
    entries = []
    for package, deb in debs.items():
        (folder / f"{package.name}.deb").symlink_to(deb)
        control = archive.dpkg_deb("--field", deb)
        place = f"Filename: ./{package.name}.deb\nSize: {package.size}\nSHA256: {package.sha256}\n"
        entries.append(control.rstrip("\n") + "\n" + place)
    (folder / "Packages").write_text("\n".join(entries), encoding="utf-8")


def check_installed(packages: Sequence[Package], installed: Sequence[str]) -> None:
    if difference := sorted(set(map(str, packages)) ^ set(installed)):
        raise SeedbedError(f"mmdebstrap was to install what is locked, and differs in: {', '.join(difference)}")
