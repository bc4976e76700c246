"""Which component of an image each of its files belongs to, by what the image itself has on record.

Debian's packages list their files in dpkg's database, wheels in RECORD; bytecode belongs to whom its source belongs.
Everything else is in the two lists below, with whoever makes it.
"""

import csv
import io
import posixpath
import re
import tarfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from packaging.utils import canonicalize_name

from builder.oci.layout import OciImage
from builder.oci.store import Store
from builder.oci.tar import opened

Owner = tuple[str, str]
"""A component's kind and name."""

SEEDBED: Owner = ("own", "seedbed")
VENV = "opt/venv"
SITE = f"{VENV}/lib/python*/site-packages"

OWN = (
    "etc/apt/apt.conf.d/seedbed",
    "etc/apt/sources.list",
    "etc/dpkg/dpkg.cfg.d/seedbed",
    "etc/fstab",  # mmdebstrap's
    "etc/group",
    "etc/passwd",
    "etc/profile.d/seedbed.sh",
    "etc/python3*/sitecustomize.py",
    "etc/seedbed/*",
    "opt/seedbed/*",
    f"{VENV}/bin/python",
    f"{VENV}/bin/python3",
    f"{VENV}/bin/python3.[0-9]*",
    f"{VENV}/bin/seedbed",
    f"{VENV}/lib64",
    f"{VENV}/pyvenv.cfg",
    f"{SITE}/00_seedbed.pth",
    f"{SITE}/certifi/cacert.pem",
    f"{SITE}/seedbed/*",
    "usr/lib/python3/dist-packages/00_seedbed.pth",
)
"""Seedbed's own files."""

MADE = {
    "apt": ("var/lib/apt/extended_states",),
    "base-files": (
        "etc/dpkg/origins/default",
        "etc/motd",
        "etc/profile",
        "root/.bashrc",
        "root/.profile",
        "usr/local/man",
        "var/log/[bw]tmp",
        "var/log/lastlog",
        "var/spool/mail",
    ),
    "base-passwd": ("etc/gshadow", "etc/shadow"),
    "ca-certificates": ("etc/ca-certificates.conf", "etc/ssl/certs/*"),
    "debconf": ("var/cache/debconf/*.dat",),
    "debianutils": ("etc/shells", "var/lib/shells.state"),
    "dpkg": ("etc/alternatives/*", "var/lib/dpkg/*"),
    "init-system-helpers": ("etc/rc[0-6S].d/*", "etc/systemd/system/*", "var/lib/systemd/deb-systemd-helper-*"),
    "libc-bin": ("etc/ld.so.cache", "etc/nsswitch.conf"),
    "libpam-modules": ("etc/environment", "etc/security/opasswd"),
    "libpam-runtime": ("etc/pam.d/common-*", "var/lib/pam/*"),
    "login": ("etc/sub[gu]id", "var/log/faillog"),
    "passwd": ("etc/.pwd.lock",),
    "python3.11-minimal": ("etc/python3/debian_config", "var/lib/python/python3.11_installed"),
    "readline-common": ("etc/inputrc",),
    "tzdata": ("etc/localtime", "etc/timezone"),
}
"""What scripts of Debian's packages write when they are installed: no list of dpkg's has it."""

DPKG_FILE = re.compile(r"var/lib/dpkg/info/([^/:]+?)(?::[^/.]+)?\.[a-z0-9]+")
DPKG_LIST = re.compile(r"var/lib/dpkg/info/[^/]+\.list")
RECORD = re.compile(r"(?P<site>.*/site-packages)/(?P<name>[^/]+)-[^/-]+\.dist-info/RECORD")
BYTECODE = re.compile(r"(?P<folder>.*/)__pycache__/(?P<name>[^/]+)\.cpython-\d+\.pyc")
MERGED = re.compile(r"^(bin|sbin|lib|lib32|lib64|libx32)/")
ALTERNATIVES = "/etc/alternatives/"


def owners_of(image: OciImage, store: Store) -> dict[str, Owner | None]:
    """Every file and link of the image, and whose it is; None: nobody's."""
    recorded: dict[str, Owner] = {}
    links: dict[str, str] = {}
    for layer in image.layers:
        with opened(store.blob(layer.descriptor.digest)) as tar:
            for member in tar:
                if not member.isdir():
                    links[member.name] = member.linkname if member.issym() else ""
                    recorded |= records_in(tar, member)
    return {path: owner_of(path, target, recorded) for path, target in sorted(links.items())}


def owner_of(path: str, target: str, recorded: Mapping[str, Owner]) -> Owner | None:
    """The owner of a file, or of a link to `target`."""
    if any(fnmatchcase(path, pattern) for pattern in OWN):
        return SEEDBED
    if found := recorded.get(path):
        return found
    if compiled := BYTECODE.fullmatch(path):
        return recorded.get(f"{compiled['folder']}{compiled['name']}.py")
    if database := DPKG_FILE.fullmatch(path):
        return "deb", database[1]
    if target.startswith(ALTERNATIVES):
        return "deb", "dpkg"
    makers = (name for name, patterns in MADE.items() if any(fnmatchcase(path, pattern) for pattern in patterns))
    return next((("deb", name) for name in makers), None)


def records_in(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Mapping[str, Owner]:
    """The files that a member of a layer lists, if it is such a list."""
    if DPKG_LIST.fullmatch(member.name) and (owned := DPKG_FILE.fullmatch(member.name)):
        paths = text_of(tar, member).splitlines()
        return {MERGED.sub(r"usr/\1/", path.strip("/")): ("deb", owned[1]) for path in paths}
    if wheel := RECORD.fullmatch(member.name):
        return {path: ("pypi", canonicalize_name(wheel["name"])) for path in paths_in(text_of(tar, member), wheel)}
    return {}


def paths_in(record: str, wheel: re.Match[str]) -> Iterator[str]:
    for row in csv.reader(io.StringIO(record)):
        yield posixpath.normpath(f"{wheel['site']}/{row[0]}")


def text_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    assert file
    return file.read().decode()
