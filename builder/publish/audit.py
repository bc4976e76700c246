"""Known vulnerabilities of the wheels in an image, as pip-audit finds them by the lock.

uv runs pip-audit in an environment of its own: it decides no byte of an image, and its database is new every day.

Source: pip-audit's README, "Usage"; OSV's API, version 1.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import uv

from builder import commands, network
from builder.catalog.allowed import Allowed
from builder.console import print_line, print_table, step
from builder.errors import SeedbedError
from builder.image.recipe import Recipe
from builder.lock.index import uv_environment
from builder.text import one_line

TOOL = "pip-audit==2.10.1"
DEPENDENCIES_OF = "2026-11-20"
"""The day whose index pip-audit's dependencies are taken from."""

OSV = "SEEDBED_OSV"
"""The variable with the address of a service that has OSV's API, to be asked in place of PyPI."""

COLUMNS = ("image", "package", "version", "vulnerability", "fixed in", "accepted until", "reason")


@dataclass(frozen=True)
class Finding:
    """A known vulnerability of a wheel in an image; `aliases` are its other names, `fixed` the versions without it."""

    image: str
    package: str
    version: str
    id: str
    aliases: tuple[str, ...]
    fixed: tuple[str, ...]

    def is_meant(self, allowed: Allowed) -> bool:
        return allowed.entry.package == self.package and allowed.entry.id in (self.id, *self.aliases)


@dataclass(frozen=True)
class Verdict:
    """All findings, each with what allows it; `useless` are entries for packages that have no such vulnerability."""

    findings: tuple[tuple[Finding, Allowed | None], ...]
    useless: tuple[Allowed, ...]

    @property
    def refused(self) -> list[Finding]:
        return [finding for finding, allowed in self.findings if allowed is None]

    def to_json(self) -> dict[str, Any]:
        rows = [
            asdict(found) | {"accepted": allowed and allowed.entry.model_dump(mode="json")}
            for found, allowed in self.findings
        ]
        return {"vulnerabilities": rows, "useless": [allowed.where for allowed in self.useless]}


def audit(recipes: Sequence[Recipe], allowlist: Sequence[Allowed]) -> Verdict:
    """Raises SeedbedError if the database cannot be asked, or does not know a wheel: then nothing is proved."""
    findings = []
    for recipe in recipes:
        with step(f"{recipe.name}: known vulnerabilities of {len(recipe.wheels.wheels)} wheels"):
            findings += list(findings_in(recipe, scan(recipe)))
    judged = tuple((found, next(filter(found.is_meant, allowlist), None)) for found in findings)
    used = [allowed for _, allowed in judged]
    packages = {wheel.name for recipe in recipes for wheel in recipe.wheels.wheels}
    useless = (allowed for allowed in allowlist if allowed not in used and allowed.entry.package in packages)
    return Verdict(judged, tuple(useless))


def scan(recipe: Recipe) -> str:
    """What pip-audit prints; raises SeedbedError if it cannot be had, or cannot reach its database."""
    options = ["--requirement", str(recipe.image.lock_path), "--disable-pip", "--no-deps", "--format", "json"]
    options += ["--desc", "off", "--aliases", "on", "--progress-spinner", "off"]
    if service := os.environ.get(OSV):
        options += ["--vulnerability-service", "osv", "--osv-url", service]
    command = [uv.find_uv_bin(), "--no-config", "tool", "run", "--quiet", "--no-python-downloads"]
    command += ["--python", sys.executable, "--exclude-newer", DEPENDENCIES_OF, "--from", TOOL, "pip-audit", *options]
    bundle = network.ca_bundle()
    done = commands.run(command, env=uv_environment() | ({"REQUESTS_CA_BUNDLE": str(bundle)} if bundle else {}))
    if not done.stdout.startswith("{"):  # its exit status is 1 for vulnerabilities, too
        raise not_audited(recipe, complaint(done.stderr))
    return done.stdout


def findings_in(recipe: Recipe, answer: str) -> Iterator[Finding]:
    """The findings in what pip-audit prints; raises SeedbedError unless it has looked at every wheel of the lock."""
    asked = {each["name"]: each for each in json.loads(answer)["dependencies"]}
    for wheel in recipe.wheels.wheels:
        found = asked.get(wheel.name, {"skip_reason": "it was not looked at"})
        if reason := found.get("skip_reason"):
            raise not_audited(recipe, reason if wheel.name in reason else f"{wheel.name} {wheel.version}: {reason}")
        for each in found["vulns"]:
            aliases, fixed = sorted(each.get("aliases", ())), each.get("fix_versions", ())
            yield Finding(recipe.name, wheel.name, wheel.version, each["id"], tuple(aliases), tuple(fixed))


def not_audited(recipe: Recipe, reason: str) -> SeedbedError:
    remedy = f"set {OSV} to a service with OSV's API, or run it where PyPI's can be reached"
    return SeedbedError(f"{recipe.name}: not audited: {one_line(reason).rstrip('.')}; {remedy}")


def complaint(stderr: str) -> str:
    """The last thing that a program said is wrong, else the last thing it said."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.partition(":")[2].rpartition("pip_audit._cli:")[2] for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip-audit gave no reason"])[-1]


def print_verdict(verdict: Verdict) -> None:
    """A row for each finding, those that are not accepted first."""
    if verdict.findings:
        judged = sorted(verdict.findings, key=lambda pair: pair[1] is not None)
        print_table(COLUMNS, [row(finding, allowed) for finding, allowed in judged])
    for allowed in verdict.useless:
        entry = allowed.entry
        print_line(f"{allowed.where}: {entry.package} has no {entry.id} in these images: remove the entry")


def row(finding: Finding, allowed: Allowed | None) -> tuple[str, ...]:
    names = " ".join((finding.id, *finding.aliases))
    accepted = (allowed.entry.expires.isoformat(), allowed.entry.reason) if allowed else ("", "")
    fixed = ", ".join(finding.fixed) or "none yet"
    return finding.image, finding.package, finding.version, names, fixed, *accepted


def listed(findings: Iterable[Finding]) -> str:
    return ", ".join(f"{found.id} of {found.package} {found.version}" for found in findings)
