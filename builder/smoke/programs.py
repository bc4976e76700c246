"""Trainings on other people's libraries, run inside an image: they repeat bit for bit, and only thanks to its layer.

An image keeps them in `images/<name>/programs/`, with the lock of the packages that they need beyond the image's own.
Nothing in them seeds anything; each prints one line with a sha256 over what it has trained.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import paths
from builder.catalog.models import Image
from builder.catalog.source import shown
from builder.engine.client import Engine, Running
from builder.errors import SeedbedError
from builder.image.contents import ENTRYPOINT
from builder.layers import wheels
from builder.lock import requirements
from builder.lock.requirements import Lock
from builder.smoke.checks import LONGEST_RUN, PROGRAMS_ENVIRONMENT, last_line, parameters, side_by_side

EXAMPLES = "/opt/examples"  # the digits, which most programs learn, and the sha256
SCRIPTS = "/opt/programs"
WHEELS = "/opt/wheels"
AS_ROOT = "0:0"
FIELD_CASES = paths.ROOT / "tests" / "image" / "field"
ENVIRONMENT = {"PYTHONPATH": EXAMPLES} | PROGRAMS_ENVIRONMENT


@dataclass(frozen=True)
class Programs:
    """Scripts that run inside an image. Like the image, they have requirements and a lock."""

    image: Image
    folder: Path

    @property
    def name(self) -> str:
        return self.image.name

    @property
    def python(self) -> str:
        return self.image.python

    @property
    def requirements_path(self) -> Path:
        return self.folder / "requirements.in"

    @property
    def lock_path(self) -> Path:
        return self.folder / "requirements.lock"

    @property
    def scripts(self) -> list[Path]:
        return sorted(self.folder.glob("*.py"))


def of(image: Image) -> Programs:
    """The programs that the smoke tests run, none in some images."""
    return Programs(image, image.folder / "programs")


def field_cases(image: Image) -> Programs:
    """Small inputs after public reports, which tests/image runs (docs/field.md)."""
    return Programs(image, FIELD_CASES / image.name)


def locked_beside(image: Image) -> list[Programs]:
    """Every set of scripts whose lock follows from the image's."""
    return [programs for programs in (of(image), field_cases(image)) if programs.scripts]


def make_lock(programs: Programs, cutoff: str) -> Lock:
    """Resolve what the programs need beyond the image's wheels, which stay as they are; raises `SeedbedError`."""
    own = requirements.read(programs.image).wheels
    resolved = requirements.resolve(programs, [f"{pin.name}=={pin.version}" for pin in own], cutoff)
    names = {pin.name for pin in own}
    return Lock(inputs_of(programs), cutoff, tuple(pin for pin in resolved if pin.name not in names))


def check_lock(programs: Programs) -> Lock:
    """The programs' lock, proven to belong to their requirements and to the image's lock; raises `SeedbedError`."""
    locked = requirements.read(programs)
    if locked.inputs != inputs_of(programs):
        raise SeedbedError(
            f"{shown(programs.lock_path)}: stale, its inputs changed since it was made; "
            f"run ./build.py lock {programs.name}"
        )
    return locked


def inputs_of(programs: Programs) -> str:
    """The hex sha256 of all that decides what the lock holds, its cut-off date apart."""
    inputs = {
        "requirements": requirements.requirements_in(programs),
        "image": [str(pin) for pin in requirements.read(programs.image).wheels],
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@contextmanager
def installed(
    engine: Engine, digest: str, programs: Programs, scripts: str = SCRIPTS, **options: Any
) -> Iterator[Running | None]:
    """A container of the image with the programs, at `scripts`, and what they need; None where there are none.

    Installed as users do it, by pip and by hash, from files that the host has fetched. `options` are the engine's.
    """
    if not programs.scripts:
        yield None
        return
    fetched = wheels.fetch(check_lock(programs).wheels, programs.python).values()
    files = {f"{WHEELS}/{wheel.path.name}": wheel.path for wheel in fetched}
    files |= {scripts: programs.folder, EXAMPLES: paths.EXAMPLES}
    with engine.started(digest, ["sleep", "infinity"], files=files, **options) as container:
        flags = ["--no-index", "--find-links", WHEELS, "--no-deps", "--require-hashes", "--quiet"]
        done = container.run(
            ["pip", "install", *flags, "--requirement", f"{scripts}/{programs.lock_path.name}"], user=AS_ROOT
        )
        if done.status:
            raise SeedbedError(f"{programs.name}: its programs' packages cannot be installed: {last_line(done.stderr)}")
        yield container


def run(container: Running, script: Path, environments: list[dict[str, str]]) -> list[str]:
    """Run a program once with each of these; returns the sha256 that each run prints, raises `Failed` without one."""
    return side_by_side(lambda asked: train(container, script, asked), environments)


def train(container: Running, script: Path, asked: dict[str, str]) -> str:
    """One run, as `docker run` would start it; returns the sha256 it prints."""
    command = ["timeout", "--kill-after=10", str(LONGEST_RUN), ENTRYPOINT[-1], "python", f"{SCRIPTS}/{script.name}"]
    return parameters(script, container.run(command, environment=ENVIRONMENT | asked))
