"""The index, asked by uv. Only this module asks which versions exist; everything after reads a lock."""

import os
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import uv
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from builder import commands, files, network, paths, scratch
from builder.errors import SeedbedError
from builder.reading import shown
from builder.text import one_line

PLATFORM = "x86_64-manylinux_2_28"
LEGACY = {
    "manylinux_2_17_x86_64": "manylinux2014_x86_64",
    "manylinux_2_12_x86_64": "manylinux2010_x86_64",
    "manylinux_2_5_x86_64": "manylinux1_x86_64",
}


@dataclass(frozen=True)
class Pin:
    """One wheel as a line of the lock; `sha256` is of the file the index serves."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.release} --hash=sha256:{self.sha256}"

    @property
    def release(self) -> str:
        return f"{self.name}=={self.version}"


def resolve(requirements: Path, python: str, constraints: Sequence[str], cutoff: str) -> tuple[Pin, ...]:
    """The closure of requirements.in as the index stood at `cutoff`: wheels only, the best for the platform, by hash.

    Raises SeedbedError if there is none.
    """
    with scratch.folder(paths.cache()) as folder:
        limits, answer = folder / "constraints.txt", folder / "pylock.toml"
        limits.write_text("\n".join(constraints), encoding="utf-8")
        options = ["--python-version", python, "--python-platform", PLATFORM, "--only-binary", ":all:"]
        options += ["--exclude-newer", cutoff, "--constraints", str(limits), "--output-file", str(answer), "--quiet"]
        command = [uv.find_uv_bin(), "--no-config", "pip", "compile", str(requirements), *options]
        asked = commands.run(command, env=uv_environment())
        if asked.returncode:
            files.check_space(asked.stderr, folder)
            complaint = f"{shown(requirements)}: uv found no solution: {one_line(asked.stderr)}"
            raise SeedbedError(network.with_remedy(complaint, asked.stderr))
        return tuple(wheels_in(tomllib.loads(answer.read_text(encoding="utf-8"))["packages"], python))


def uv_environment() -> dict[str, str]:
    """The index may have a password in its address, and everybody can read what a program is called with."""
    bundle, index = network.ca_bundle(), network.index_url()
    certificates = {"SSL_CERT_FILE": str(bundle)} if bundle else {}
    return os.environ | certificates | ({"UV_DEFAULT_INDEX": index} if index else {})


def wheels_in(packages: Iterable[dict[str, Any]], python: str) -> list[Pin]:
    """PEP 751's packages as ours: of each, the wheel that an installer on the platform would choose."""
    ranks = {tag: rank for rank, tag in enumerate(supported_tags(python))}
    found = []
    for package in packages:
        try:
            choices = [(rank_of(wheel["url"], ranks), wheel) for wheel in package.get("wheels", [])]
        except (InvalidWheelFilename, KeyError) as error:
            raise SeedbedError(f"{package['name']}: the index lists what is no wheel: {error}") from None
        rank, best = min(choices, key=lambda choice: choice[0], default=((len(ranks), ""), {}))
        if rank[0] == len(ranks):
            raise SeedbedError(f"{package['name']} {package['version']}: has no wheel for {PLATFORM}, Python {python}")
        if "sha256" not in best["hashes"]:
            raise SeedbedError(f"{package['name']} {package['version']}: the index gives no sha256 for {rank[1]}")
        found.append(Pin(canonicalize_name(package["name"]), package["version"], best["hashes"]["sha256"]))
    return sorted(found, key=lambda wheel: wheel.name)


def rank_of(url: str, ranks: dict[Tag, int]) -> tuple[int, str]:
    """How well a wheel fits, best first; among equals the file's name decides."""
    filename = unquote(PurePosixPath(urlsplit(url).path).name)
    *_, tags = parse_wheel_filename(filename)
    return min(ranks.get(tag, len(ranks)) for tag in tags), filename


def supported_tags(python: str) -> list[Tag]:
    """The tags of `PLATFORM` for a CPython, best first (PEP 425, PEP 600)."""
    architecture, _, newest = PLATFORM.partition("-manylinux_2_")
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in range(int(newest), 4, -1)]
    platforms = [name for platform in platforms for name in (platform, LEGACY.get(platform)) if name]
    version = tuple(map(int, python.split(".")))
    return [*cpython_tags(version, platforms=platforms), *compatible_tags(version, platforms=platforms)]
