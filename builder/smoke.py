"""Smoke tests: plain functions over an image just built. No image gets a tag before they pass on exactly that image."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from builder import build, lock, paths, programs
from builder.catalog import Catalog, Image
from builder.engine import Engine, Finished, Running
from builder.errors import SeedbedError
from builder.lock import Lock
from builder.programs import EXAMPLES, PARAMETERS, last_line
from builder.record import Record, SmokeResult

Gpu = Literal["auto", "require", "off"]
SKIPPED = 77
BYPASSED = [""]  # what `docker run --entrypoint ""` sends
CHECKS = "/opt/checks"


class Failed(Exception):
    """The image does not do what the check claims; the message says what it did instead."""


class Skipped(Exception):
    """The check cannot be made here; the message says why."""


@dataclass(frozen=True)
class Subject:
    """The image under test, and a container of it with what its programs need, where it has programs."""

    engine: Engine
    digest: str
    image: Image
    lock: Lock
    gpu: Gpu
    container: Running | None = None

    def run(self, *command: str, expected: int = 0, **options: Any) -> Finished:
        """Run a command in a fresh container; `Failed` unless it ends with the status expected."""
        finished = self.engine.run(self.digest, command, **options)
        if finished.status != expected:
            said = last_line(finished.stderr) or last_line(finished.stdout)
            raise Failed(f"{' '.join(command)[:60]!r} ended with status {finished.status}, not {expected}: {said}")
        return finished

    def train(self, **environment: str) -> str:
        """Run the image's example training; returns the sha256 over its final parameters."""
        script = f"{EXAMPLES}/{self.image.example}"
        files = {EXAMPLES: paths.EXAMPLES}
        finished = self.run("python", script, "--epochs", "2", environment=environment, files=files)
        if not (found := PARAMETERS.search(finished.stdout)):
            raise Failed(f"{self.image.example} printed no 'parameters sha256:' line")
        return found[1]


Check = Callable[[Subject], None]


def holds_its_lock(subject: Subject) -> None:
    listed = json.loads(subject.run("pip", "list", "--format", "json").stdout)
    found = {package["name"].lower().replace("_", "-").replace(".", "-"): package["version"] for package in listed}
    locked = {wheel.name: wheel.version for wheel in subject.lock.wheels}
    found.pop("seedbed", None)
    for name in sorted(found.keys() | locked.keys()):
        if found.get(name) != locked.get(name):
            raise Failed(f"{name}: the lock says {locked.get(name)}, the image has {found.get(name)}")


def dependencies_agree(subject: Subject) -> None:
    subject.run("pip", "check")


def runs_commands(subject: Subject) -> None:
    subject.run("bash", "-c", "exit 7", expected=7)
    said = subject.run("bash", "-c", "cd /tmp && echo 'print(6 * 7)' > x.py && python x.py").stdout
    if said.strip() != "42":
        raise Failed(f"'python x.py' printed {said.strip()!r} instead of 42")


def names_seed_and_mode(subject: Subject) -> None:
    said = first_line(subject.run("true", environment={"SEEDBED_SEED": "7", "SEEDBED_MODE": "warn"}).stderr)
    if "seed 7" not in said or "mode warn" not in said:
        raise Failed(f"the log's first line should name seed 7 and mode warn; it is {said!r}")


def refuses_a_bad_seed(subject: Subject) -> None:
    finished = subject.engine.run(subject.digest, ["true"], environment={"SEEDBED_SEED": "4294967296"})
    if finished.status == 0 or "SEEDBED_SEED" not in finished.stderr:
        raise Failed("a seed of 2^32 was accepted")


def knows_what_is_in_force(subject: Subject) -> None:
    subject.run("seedbed", "info")
    broken = {"PYTHONHASHSEED": "random"} | ({"CUBLAS_WORKSPACE_CONFIG": "garbage"} if subject.image.cuda else {})
    for name, value in broken.items():
        subject.run("seedbed", "info", environment={name: value}, entrypoint=BYPASSED, expected=1)


def works_as_any_user(subject: Subject) -> None:
    script = "import getpass, pathlib; getpass.getuser(); pathlib.Path.home().joinpath('x').write_text('x')"
    write = f'touch /workspace/x && python -c "{script}"'
    for user in ("0:0", "1000:1000", "12345:54321"):
        subject.run("bash", "-c", write, user=user)


def works_read_only(subject: Subject) -> None:
    subject.run("python", "-c", "import numpy; open('/tmp/x', 'w')", read_only=True, tmpfs={"/tmp": ""})


def trains_to_the_same_bits(subject: Subject) -> None:
    first, again, other = subject.train(), subject.train(), subject.train(SEEDBED_SEED="7")
    if first != again:
        raise Failed(f"two trainings with one seed ended with different parameters: {first[:12]}, {again[:12]}")
    if first == other:
        raise Failed(f"training with another seed changed nothing: {first[:12]}")


def needs_its_layer_for_that(subject: Subject) -> None:
    """The negative control: the very script repeats only because the image seeds it."""
    if subject.train(SEEDBED_MODE="off") == subject.train(SEEDBED_MODE="off"):
        raise Failed("two trainings with SEEDBED_MODE=off agree, so the check of equal bits proves nothing")


def seeds_without_its_entrypoint(subject: Subject) -> None:
    draw = ["python", "-c", "import random, numpy; print(random.random(), numpy.random.default_rng().random())"]
    first, again = (subject.run(*draw, entrypoint=BYPASSED).stdout for _ in range(2))
    off = subject.run(*draw, entrypoint=BYPASSED, environment={"SEEDBED_MODE": "off"}).stdout
    if first != again or first == off:
        raise Failed("with the entrypoint bypassed, random and numpy are not seeded")


COMMON: dict[str, Check] = {
    "holds what its lock says": holds_its_lock,
    "dependencies agree (pip check)": dependencies_agree,
    "runs commands, passes exit codes": runs_commands,
    "first log line names seed and mode": names_seed_and_mode,
    "refuses a bad seed": refuses_a_bad_seed,
    "seedbed info sees what is in force": knows_what_is_in_force,
    "works as any user": works_as_any_user,
    "works read-only": works_read_only,
    "trains to the same bits": trains_to_the_same_bits,
    "does not without the layer": needs_its_layer_for_that,
    "seeds without its entrypoint": seeds_without_its_entrypoint,
}


def checks_of(image: Image) -> dict[str, Check]:
    """The common checks, then one for every script in the image's `smoke` and `programs` folders.

    They are named by the docstrings of the scripts.
    """
    inside = {title_of(script): runs_inside(script) for script in sorted(image.folder.glob("smoke/*.py"))}
    others = {f"{programs.CLAIM}{title_of(script)}": repeats(script) for script in programs.Programs(image).scripts}
    return COMMON | inside | others


def runs_inside(script: Path) -> Check:
    """A check made by a script inside the image: status 0 passes, 77 skips, anything else fails."""

    def check(subject: Subject) -> None:
        finished = subject.engine.run(
            subject.digest,
            ["python", f"{CHECKS}/{script.name}"],
            files={CHECKS: script.parent},
            environment={"SEEDBED_SMOKE_GPU": subject.gpu},
            gpus=script.stem == "gpu" and wants_gpus(subject),
        )
        if finished.status == SKIPPED:
            raise Skipped(last_line(finished.stdout))
        if finished.status:
            raise Failed(last_line(finished.stderr) or f"status {finished.status}")

    return check


def repeats(script: Path) -> Check:
    """A check that a program repeats, follows the seed, and needs the layer for that."""

    def check(subject: Subject) -> None:
        assert subject.container, "there is one where there are programs"
        if complaint := programs.run(subject.container, script).complaint():
            raise Failed(complaint)

    return check


def wants_gpus(subject: Subject) -> bool:
    return subject.gpu == "require" or (subject.gpu == "auto" and subject.engine.offers_gpus())


def title_of(script: Path) -> str:
    return script.read_text(encoding="utf-8").split('"""')[1].splitlines()[0].rstrip(".")


def test(catalog: Catalog, image: Image, engine: Engine, gpu: Gpu, log: Callable[[str], None]) -> Record:
    """Make every check of the image last built; tag it if none fails. Raises `SeedbedError` if it is not there."""
    built = build.find(catalog, image)
    if built is None or not engine.has(built.digest):
        raise SeedbedError(f"{image.name}: not built, or changed since; run ./build.py build {image.name}")
    with programs.installed(engine, built.digest, image) as container:
        subject = Subject(engine, built.digest, image, lock.read(image), gpu, container)
        results = tuple(run(subject, log))
    tested = built.model_copy(update={"smoke": results})
    if tested.tested:
        for tag in (tags := tags_of(image, built)):
            engine.tag(built.digest, tag)
            log(f"{image.name}: tagged {tag}")
        tested = tested.model_copy(update={"tags": tags})
    tested.save()
    return tested


def tags_of(image: Image, built: Record) -> tuple[str, ...]:
    """The names of an image that passed: exact versions, and the same with the first 12 digits of its lock.

    An unlocked image does without the second: it does not hold what that lock says.
    """
    name = f"{repository()}/{image.name}:{image.full_tag}"
    return (name, f"{name}-{built.lock[:12]}") if built.locked else (name,)


def repository() -> str:
    """Where images belong: `SEEDBED_REPOSITORY`, such as registry.example.org/team, else plain `seedbed`."""
    return os.environ.get("SEEDBED_REPOSITORY", "seedbed")


def run(subject: Subject, log: Callable[[str], None]) -> Iterator[SmokeResult]:
    """Make every check of the image in turn; a check that cannot be made for a fault of the engine is a failure."""
    for name, check in checks_of(subject.image).items():
        began = time.monotonic()
        outcome, detail = outcome_of(check, subject)
        result = SmokeResult(check=name, outcome=outcome, detail=detail, seconds=round(time.monotonic() - began, 1))
        log(f"{subject.image.name}: {outcome:7} {name}" + (f": {detail}" if detail else ""))
        yield result


def outcome_of(check: Check, subject: Subject) -> tuple[Literal["passed", "failed", "skipped"], str]:
    try:
        check(subject)
    except Skipped as skipped:
        return "skipped", str(skipped)
    except (Failed, SeedbedError) as failed:
        return "failed", str(failed)
    return "passed", ""


def first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")


def summary(results: Sequence[SmokeResult]) -> str:
    """`14 passed, 1 skipped`."""
    counts = Counter(result.outcome for result in results)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped") if counts[outcome])
