"""The embedded engine's programs: Docker, containerd, buildx and Compose, from Debian's packages, not installed."""

from pathlib import Path

from builder.debian import archive as debian
from builder.debian import sources

COMMANDS = {  # what stands in the engine's own folder for PATH, and the program it is
    "docker": "docker",
    "dockerd": "dockerd",
    "docker-proxy": "docker-proxy",
    "docker-init": "tini-static",  # runs inside containers, whatever their libc
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "runc": "runc",
    "iptables": "xtables-nft-multi",
    "ip6tables": "xtables-nft-multi",
}
DOCKER_SUITE = "trixie"
DOCKER_PACKAGES = ("docker.io", "docker-cli", "containerd", "docker-buildx", "docker-compose")
HOST_PACKAGES = ("runc", "iptables", "tini")  # linked against a libc as old as the host's, unlike trixie's


def unpacked(scratch: Path) -> Path:
    """The programs, freshly fetched, in a folder below `scratch`; its folder `commands` is one for PATH."""
    programs = scratch / "programs"
    for deb in fetch_packages(scratch):
        debian.unpack(deb, programs)
    link_commands(programs)
    return programs


def fetch_packages(scratch: Path) -> list[Path]:
    debs: list[Path] = []
    for suite, names, dependencies in (
        (DOCKER_SUITE, DOCKER_PACKAGES, False),  # they need no more than the libraries any Debian has
        (sources.host_codename(), HOST_PACKAGES, True),
    ):
        archive = debian.Archive(scratch / f"archive-{suite}", suite=suite)
        archive.update()
        packages = archive.resolve(names, dependencies=dependencies)
        # The libc has to be the one the host's loader belongs to.
        debs += archive.fetch([p for p in packages if p.name != "libc6"], scratch / "debs")
    return debs


def link_commands(programs: Path) -> None:
    """Make the folder for PATH; some of its links are what maintainer scripts would have made."""
    commands = programs / "commands"
    commands.mkdir()
    for name, program in COMMANDS.items():
        places = (f"usr/{folder}/{program}" for folder in ("sbin", "bin"))
        (commands / name).symlink_to(next(f"../{place}" for place in places if (programs / place).exists()))
