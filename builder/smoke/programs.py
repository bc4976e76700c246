"""Trainings on third-party libraries, run inside an image: they repeat bit for bit, and only with Seedbed enabled.

An image keeps them in `images/<name>/programs/`, with the lock of the packages that they need beyond the image's own.
Nothing in them seeds anything; each prints one line with a sha256 over what it has trained.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder import paths
from builder.engine.client import Engine
from builder.engine.containers import Running
from builder.errors import SeedbedError
from builder.image.contents import ENTRYPOINT
from builder.layers import wheels
from builder.lock import programs as locks
from builder.lock.programs import Programs
from builder.lock.requirements import Lock
from builder.outcomes import LONGEST_RUN
from builder.smoke.checks import PROGRAMS_ENVIRONMENT, parameters
from builder.text import last_line

EXAMPLES = "/opt/examples"  # the digits, which most programs learn, and the sha256
SCRIPTS = "/opt/programs"
WHEELS = "/opt/wheels"
AS_ROOT = "0:0"
ENVIRONMENT = {"PYTHONPATH": EXAMPLES} | PROGRAMS_ENVIRONMENT


@contextmanager
def installed(
    engine: Engine, digest: str, programs: Programs, image: Lock, scripts: str = SCRIPTS, **options: Any
) -> Iterator[Running | None]:
    """A container of the image with the programs, at `scripts`, and what they need; None where there are none.

    Installed as users do it, by pip and by hash, from files that the host has fetched. `options` are the engine's.
    """
    if not programs.scripts:
        yield None
        return
    fetched = wheels.fetch(locks.check(programs, image).wheels, programs.python).values()
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


def run(container: Running, script: Path, environment: Mapping[str, str]) -> str:
    """Run a program, as `docker run` would start it; returns the sha256 it prints, raises `Failed` without one."""
    command = ["timeout", "--kill-after=10", str(LONGEST_RUN), ENTRYPOINT[-1], "python", f"{SCRIPTS}/{script.name}"]
    return parameters(script, container.run(command, environment=ENVIRONMENT | dict(environment)))
