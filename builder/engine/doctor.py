"""What this host offers for builds: one line each, with a remedy if something is missing."""

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from builder import network, paths
from builder.console import size
from builder.debian import bootstrap
from builder.engine import client, throwaway
from builder.engine.client import Engine

SPACE_NEEDED = 25_000_000_000
"""Bytes that both images take with all caches kept (measured; see README.md)."""


@dataclass(frozen=True)
class Requirement:
    """One thing that a build needs: what was found, and, where that is not enough, what to do."""

    name: str
    found: str
    remedy: str | None = None


def examine() -> list[Requirement]:
    """Look at everything a build needs. Starts nothing and changes nothing."""
    return [*host(), *engines()]


def host() -> Iterator[Requirement]:
    yield Requirement("machine", f"{platform.machine()}, Python {platform.python_version()}")
    yield place()
    yield Requirement("certificate authorities", str(network.ca_bundle() or "those of each program"))
    yield Requirement("Python index", "a mirror, from pip's configuration" if network.index_url() else "the public one")
    yield space()


def place() -> Requirement:
    """Where builds run."""
    wanted, reason = throwaway.wanted(), bootstrap.trouble()
    if wanted == "container" or (wanted == "" and reason and client.running()):
        return Requirement("builds run", "in a container of Debian")
    if reason is None:
        return Requirement("builds run", "on this host")
    return Requirement("builds run", "nowhere", f"{reason}; or start Docker: builds then run in a container of Debian")


def space() -> Requirement:
    folder = paths.cache()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    found = f"{size(free)} free in {folder}"
    remedy = f"both images need about {size(SPACE_NEEDED)}; free some, or set SEEDBED_CACHE to a larger disk"
    return Requirement("disk", found, remedy if free < SPACE_NEEDED else None)


def engines() -> Iterator[Requirement]:
    found = client.of_host()
    if found is None:
        embedded = client.embedded()
        yield Requirement("Docker of this host", "none answers")
        yield Requirement("embedded engine", "running" if embedded.running() else "not running (builds start it)")
        found = client.of_embedded() if embedded.running() else None
    if found:
        yield image_store(found)
        yield buildx(found)
        gpus = "offered by the engine" if found.offers_gpus() else "none offered; GPU checks are skipped"
        yield Requirement("GPUs", gpus)


def image_store(engine: Engine) -> Requirement:
    info = engine.client.info()
    kind = "containerd" if engine.keeps_manifests() else "older image store; no Dockerfile build (build --recipe)"
    return Requirement("image store", f"Docker {info['ServerVersion']}, {info['Driver']} ({kind})")


def buildx(engine: Engine) -> Requirement:
    asked = engine.docker("buildx", "version")
    if asked.returncode == 0:
        return Requirement("buildx", asked.stdout.split()[1])
    return Requirement("buildx", "missing; only a Dockerfile build (build --recipe) needs it")
