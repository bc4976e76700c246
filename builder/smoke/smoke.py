"""Smoke tests: plain functions over an image just built. No image gets a tag before they pass on exactly that image."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from packaging.utils import canonicalize_name

from builder import paths
from builder.catalog.models import Image
from builder.engine.client import Engine
from builder.engine.containers import Running
from builder.errors import SeedbedError
from builder.image import build, contents
from builder.image.load import UNTESTED, load
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.image.tags import tags_of
from builder.lock.programs import of
from builder.lock.requirements import Lock
from builder.outcomes import Finished, Result
from builder.smoke import checks, numbers, programs
from builder.smoke.checks import CLAIM, GOLDEN_FILE, SKIPPED, Check, Failed, Skipped
from builder.smoke.programs import EXAMPLES
from builder.text import last_line

log = logging.getLogger(__name__)

Gpu = Literal["auto", "require", "off"]
CHECKS = "/opt/checks"
PROBES = "/opt/probes"
PROBE_SCRIPTS = Path(__file__).with_name("probes")


@dataclass(frozen=True)
class Subject(checks.Subject):
    """The image under test, and a container of it with what its programs need, where it has programs."""

    engine: Engine
    digest: str
    image: Image
    lock: Lock
    gpu: Gpu
    container: Running | None = None

    @property
    def cuda(self) -> bool:
        return self.image.cuda is not None

    def finish(self, command: Sequence[str], **options: Any) -> Finished:
        """In a fresh container."""
        return self.engine.run(self.digest, command, **options)

    def train(self, **environment: str) -> str:
        script = Path(EXAMPLES, self.image.example)
        command = ["python", str(script), "--epochs", "2"]
        return checks.parameters(
            script, self.finish(command, environment=environment, files={EXAMPLES: paths.EXAMPLES})
        )

    def script(self, script: Path) -> Finished:
        return self.finish(
            ["python", f"{CHECKS}/{script.name}"],
            files={CHECKS: script.parent},
            environment={"SEEDBED_SMOKE_GPU": self.gpu},
            gpus=script.stem == "gpu" and wants_gpus(self),
        )

    def program(self, script: Path, environment: Mapping[str, str]) -> str:
        assert self.container, "there is one where there are programs"
        return programs.run(self.container, script, environment)


def holds_its_lock(subject: Subject) -> None:
    printed = subject.run("pip", "list", "--format", "json").stdout
    try:
        found = {canonicalize_name(package["name"]): package["version"] for package in json.loads(printed)}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Failed(f"expected a list of packages from pip list, found {printed[:80]!r}") from None
    locked = {wheel.name: wheel.version for wheel in subject.lock.wheels}
    found.pop("seedbed", None)
    for name in sorted(found.keys() | locked.keys()):
        if found.get(name) != locked.get(name):
            raise Failed(f"{name}: the lock says {locked.get(name)}, the image has {found.get(name)}")


def dependencies_agree(subject: Subject) -> None:
    subject.run("pip", "check")


def every_command_starts(subject: Subject) -> None:
    probe(subject, "commands.py", f"{contents.VENV}/bin")


def has_kernels_for_its_gpus(subject: Subject) -> None:
    found = json.loads(probe(subject, "kernels.py").stdout)
    if found != list(subject.image.gpus):
        where, given = subject.image.where("gpus"), json.dumps(subject.image.gpus)
        raise Failed(f"{where}: expected {json.dumps(found)}, for which the wheels have code, found {given}")


def pip_works_for_any_user(subject: Subject) -> None:
    for user in USERS:
        probe(subject, "packages.py", user=user)


def probe(subject: Subject, script: str, *arguments: str, **options: Any) -> Finished:
    """Run one of the scripts in `probes` inside the image; `Failed` with its last words unless it succeeds."""
    finished = subject.finish(
        ["python", f"{PROBES}/{script}", *arguments],
        files={PROBES: PROBE_SCRIPTS},
        environment={"SEEDBED_QUIET": "1"},
        **options,
    )
    if finished.status:
        raise Failed(last_line(finished.stderr) or f"{script} ended with status {finished.status}")
    return finished


def every_user_has_a_home(subject: Subject) -> None:
    """One that is theirs alone, whether the file system can be written to or not."""
    for options in ({}, {"read_only": True, "tmpfs": {"/tmp": "exec"}}):
        homes = [subject.run("bash", "-c", HOME_IS_OWN, user=user, **options).stdout.strip() for user in USERS]
        if len(set(homes)) != len(USERS):
            raise Failed(f"users share a home: {', '.join(homes)}")


def works_read_only(subject: Subject) -> None:
    subject.run("python", "-c", "import numpy; open('/tmp/x', 'w')", read_only=True, tmpfs={"/tmp": ""})


def gives_nobody_rights(subject: Subject) -> None:
    """No program runs with the rights of another user than the one who starts it."""
    found = subject.run("find", "/usr", "/opt", "-xdev", "-type", "f", "-perm", "/6000").stdout.split()
    if found:
        raise Failed(f"these run with the rights of their owner: {', '.join(found)}")


USERS = ("0:0", "1000:1000", "12345:54321")
HOME_IS_OWN = """
set -e
touch /workspace/x 2>/dev/null || test ! -w /workspace
[ "$(stat -c %u "$HOME")" = "$(id -u)" ]
case $(stat -c %A "$HOME") in ????????w?) exit 1 ;; esac
mkdir -p "$HOME/.cache/x"
[ "$(whoami)" = "$(python -c 'import getpass; print(getpass.getuser())')" ]
[ "$(python -c 'import pathlib; print(pathlib.Path.home())')" = "$HOME" ]
echo "$HOME"
"""


def has_golden_fingerprint_on_a_gpu(subject: Subject) -> None:
    if not wants_gpus(subject):
        raise Skipped("no GPU here" if subject.gpu == "auto" else "switched off")
    has_golden_fingerprint(subject, gpus=True)


def has_golden_fingerprint(subject: Subject, **options: Any) -> None:
    """One epoch of the example, in the folders of a clone and on one thread, so that more machines are of one kind."""
    file = f"images/{subject.image.name}/{GOLDEN_FILE}"
    here = {"/workspace/examples": paths.EXAMPLES, f"/workspace/{file}": subject.image.folder / GOLDEN_FILE}
    finished = subject.finish(
        ["seedbed", "golden", file, "--", "python", f"examples/{subject.image.example}", "--epochs", "1"],
        files=here,
        environment={"OMP_NUM_THREADS": "1"},
        **options,
    )
    if finished.status == SKIPPED:
        raise Skipped(f"{last_line(finished.stdout)} (docs/golden.md)")
    if finished.status:
        raise Failed(last_line(finished.stdout) or last_line(finished.stderr))


IN_IMAGES: dict[str, Check] = {
    "holds what its lock says": holds_its_lock,
    "dependencies agree (pip check)": dependencies_agree,
    "every command starts": every_command_starts,
    "has kernels for the GPUs that it names": has_kernels_for_its_gpus,
    "pip works for any user, and in virtual environments": pip_works_for_any_user,
    "every user has a home and a name": every_user_has_a_home,
    "works read-only": works_read_only,
    "gives nobody another user's rights": gives_nobody_rights,
    "trains to its golden fingerprint": has_golden_fingerprint,
    "trains to its golden fingerprint (GPU)": has_golden_fingerprint_on_a_gpu,
}
"""What can be checked in an image alone."""


def checks_of(image: Image, full: bool = True) -> dict[str, Check]:
    """The image's checks, in their order. Not in full: of the programs, those named by `quick` in image.yaml."""
    named = checks.checks_of(image.folder, None if full else image.quick)
    return {name: IN_IMAGES.get(name, check) for name, check in named.items()}


def wants_gpus(subject: Subject) -> bool:
    return subject.gpu == "require" or (subject.gpu == "auto" and subject.engine.offers_gpus())


def test(recipe: Recipe, engine: Engine, gpu: Gpu, full: bool = False, keep: bool = False) -> Record:
    """Check the image last built, quickly or in full; tag it if nothing fails. Raises SeedbedError if it is not built.

    What an earlier run has found of this build stays in the record, if it is not checked this time. `keep` writes what
    the programs came to beside the image.
    """
    image, built = recipe.image, build.find(recipe)
    if built is None:
        raise SeedbedError(f"{image.name}: not built, or changed since; run ./build.py build {image.name}")
    loaded = load(built, engine)
    with programs.installed(engine, loaded, of(image), recipe.wheels) as container:
        subject = Subject(engine, loaded, image, recipe.wheels, gpu, container)
        results = {result.check: result for result in run(subject, checks_of(image, full))}
        if keep and container:
            numbers.write(recipe, container, results.values())
    found, every = {result.check: result for result in built.smoke} | results, checks_of(image)
    known = tuple(found[name] for name in every if name in found)
    tested = built.model_copy(update={"smoke": known, "full": len(known) == len(every)})
    if tested.tested:
        for tag in (tags := tags_of(image, built)):
            engine.tag(loaded, tag)
            log.info(f"{image.name}: tagged {tag}")
        engine.forget(f"/{UNTESTED}/{image.name}@{built.digest}")
        tested = tested.model_copy(update={"tags": tags})
    tested.save()
    return tested


def run(subject: Subject, made: Mapping[str, Check]) -> Iterator[Result]:
    """Make these checks, in order; programs run beside each other. A fault of the engine is a failure, too."""
    programs = [name for name in made if name.startswith(CLAIM)]
    results = chain(
        (checks.make(subject, name, made[name]) for name in made if name not in programs),
        checks.side_by_side(lambda name: checks.make(subject, name, made[name]), programs, checks.programs_at_once()),
    )
    for result in results:
        log.info(f"{subject.image.name}: {result}")
        yield result
