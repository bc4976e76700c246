"""What is stated about an image, in in-toto's form: what it was made from (SLSA's provenance), and that it was rebuilt.

Source: in-toto Attestation Framework, Statement v1; SLSA, Build: Provenance v1.
"""

import os
import platform
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from builder import commands, paths
from builder.errors import SeedbedError
from builder.image.recipe import Recipe
from builder.lock import toolchain
from builder.publish.bill import purl

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
REBUILD = "urn:seedbed:rebuild:v1"
BUILD_TYPE = "urn:seedbed:build:v1"
"""What `externalParameters` and `resolvedDependencies` mean: build.py builds that image of the catalog from these."""

CPUS = Path("/proc/cpuinfo")
GITHUB = ("GITHUB_SERVER_URL", "GITHUB_WORKFLOW_REF")
SOURCES = ("build.py", "builder", "images", "requirements.lock", "runtime", "templates")
"""What in a checkout decides what is built."""

Statement = dict[str, Any]


def provenance(recipe: Recipe, digest: str) -> Statement:
    """What the image was made from: the revision of Seedbed, and every file from elsewhere, by sha256."""
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": {"image": recipe.name},
        "internalParameters": {"lock": f"sha256:{recipe.lock}", "writer": toolchain.identity()},
        "resolvedDependencies": [{"name": "seedbed", "digest": {"gitCommit": revision()}}, *dependencies(recipe)],
    }
    predicate = {"buildDefinition": definition, "runDetails": {"builder": {"id": builder()}}}
    return statement(recipe, digest, PROVENANCE, predicate)


def rebuild(recipe: Recipe, digest: str) -> Statement:
    """That whoever signs this has built the image anew, with no cache but downloads, and got this digest."""
    predicate = {
        "image": recipe.name,
        "lock": f"sha256:{recipe.lock}",
        "revision": revision(),
        "writer": toolchain.identity(),
        "machine": machine(),
        "builder": builder(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    return statement(recipe, digest, REBUILD, predicate)


def statement(recipe: Recipe, digest: str, kind: str, predicate: dict[str, Any]) -> Statement:
    subject = {"name": recipe.name, "digest": {"sha256": digest.removeprefix("sha256:")}}
    return {"_type": STATEMENT, "subject": [subject], "predicateType": kind, "predicate": predicate}


def dependencies(recipe: Recipe) -> list[dict[str, Any]]:
    """Debian packages and wheels, as resource descriptors."""
    found = [
        (purl("deb", "debian", each.name, each.version, arch=each.architecture, distro=recipe.base.suite), each.sha256)
        for each in recipe.packages.everything
    ]
    found += [(purl("pypi", "", each.name, each.version), each.sha256) for each in recipe.wheels.wheels]
    return [{"uri": uri, "digest": {"sha256": sha256}} for uri, sha256 in found]


@cache
def revision() -> str:
    """The commit that is checked out; raises SeedbedError if a file of `SOURCES` is not as it is there."""
    git = ["git", "-C", str(paths.ROOT)]
    found = commands.run([*git, "rev-parse", "--verify", "HEAD"])
    changed = commands.run([*git, "status", "--porcelain", "--", *SOURCES])
    if found.returncode or changed.returncode:
        raise SeedbedError(f"{paths.ROOT}: no git checkout, and a statement names a revision: clone the repository")
    if changed.stdout:
        first = changed.stdout.splitlines()[0][3:]
        raise SeedbedError(f"{first}: not as in the revision that a statement would name: commit it, or take it back")
    return found.stdout.strip()


def builder() -> str:
    """Who builds, as a URI: the workflow, if GitHub runs it."""
    found = [os.environ[name] for name in GITHUB if name in os.environ]
    return "/".join(found) if len(found) == len(GITHUB) else "urn:seedbed:build.py"


def machine() -> dict[str, str]:
    """What kind of machine this is, and no name of it."""
    found = re.search(r"^vendor_id\s*:\s*(.+)$", CPUS.read_text() if CPUS.exists() else "", re.MULTILINE)
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:  # a Mac's build runs in a container, and its statement is made here
        system = platform.system()
    return {
        "processor": found[1] if found else "unknown",
        "architecture": platform.machine(),
        "system": system,
        "python": platform.python_version(),
    }
