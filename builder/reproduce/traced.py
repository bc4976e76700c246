"""The first operation that gives other results in another image: one training, run and traced in both.

`seedbed trace` compares runs in one image. Here the images' own startup hooks write the same journals, and the same
comparison reads them, on this host.
"""

import json
import logging
import secrets
import shlex
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from builder import paths, scratch
from builder.engine import saved
from builder.engine.client import Engine
from builder.errors import SeedbedError, UsageError
from builder.image.contents import WORKING_FOLDER
from builder.outcomes import LONGEST_RUN, TIMED_OUT
from builder.text import last_line

sys.path.append(str(paths.RUNTIME))
from seedbed import disclosure
from seedbed.observe.launch import ERRORS
from seedbed.trace import cause, difference, journal, report
from seedbed.trace.run import OUTPUT, Plan, Run
from seedbed.trace.search import Finding

log = logging.getLogger(__name__)

PLAN = "/opt/plan.json"
JOURNAL = "/tmp/journal"
STARTED = f'mkdir {JOURNAL} && cp {PLAN} {JOURNAL}/{journal.PLAN} && exec env {journal.VARIABLE}={JOURNAL} "$@"'
"""The command, traced: the journal's folder belongs to the image's user."""

HOST = "compared"
LARGEST_FOLDER = 100_000_000
KILLED = 128
"""What a container's status is above that of the signal that ended its command."""


@dataclass(frozen=True)
class Training:
    """A script with its arguments; the folder that it is in goes into the containers with it."""

    script: Path
    arguments: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Where that folder is in a container: below the working folder, as in a clone."""
        return f"{WORKING_FOLDER}/{self.script.parent.name}"

    @property
    def command(self) -> list[str]:
        return ["python", f"{self.script.parent.name}/{self.script.name}", *self.arguments]


def training(text: str) -> Training:
    """Raises UsageError if it names no script, or one in a folder too large to put into a container."""
    try:
        name, *arguments = shlex.split(text)
    except ValueError:
        raise UsageError(
            f"--trace {text!r}: expected a script and its arguments, such as 'train.py --epochs 1'"
        ) from None
    script = Path(name).absolute()
    if not script.is_file():
        raise UsageError(f"--trace {name}: there is no such script; expected one such as examples/digits_torch.py")
    if (size := sum(path.stat().st_size for path in script.parent.rglob("*") if path.is_file())) > LARGEST_FOLDER:
        raise UsageError(
            f"--trace {name}: its folder goes with it, and has {size} bytes; put the script into a folder of its own"
        )
    return Training(script, tuple(arguments))


@dataclass(frozen=True)
class FirstDifference:
    """What was found, in words, and as `seedbed trace --json` has it."""

    text: str
    document: dict[str, Any]


def first_difference(engine: Engine, names: Sequence[str], wanted: Training) -> FirstDifference:
    """Where the training in the second image first differs from that in the first, and the operation behind it.

    Raises SeedbedError if it differs from itself in the first image, or fails in one.
    """
    with scratch.folder(paths.cache()) as folder:
        tracer = Tracer(engine, wanted, folder, {disclosure.KEY: secrets.token_hex(16)})
        finding = search(tracer, *names)
        return FirstDifference(as_text(finding), json.loads(report.as_json(finding, None)))


def as_text(finding: Finding) -> str:
    """As `seedbed trace` says it. What an operation computes differs because the image does: nothing else is blamed."""
    if finding.landmark is None:
        return str(report.as_text(finding, None))
    outside = finding.cause.kind in (cause.DRAW, cause.DATA, cause.VALUE)
    reasons = report.reasons(finding.cause) if outside else ""
    return "\n\n".join(filter(None, [report.first_difference(finding), report.origin(finding), reasons]))


def search(tracer: "Tracer", first: str, second: str) -> Finding:
    one, again, other = (tracer.run(name, Plan()) for name in (first, first, second))
    if difference.first([one, again]):
        raise SeedbedError(
            f"{first}: two runs of the training in this image differ, so a run in another says nothing; "
            f"find out why there with seedbed trace -- {shlex.join(tracer.training.command)}"
        )
    landmark = difference.first([one, other])
    if landmark is None:
        return Finding([one, other])
    coarse = Finding([one, other], landmark, cause.of(landmark, [one, other]))
    if not landmark.step:
        return coarse
    plan = Plan(landmark.step, landmark.step, fill=0)
    runs = [tracer.run(name, plan) for name in (first, second)]
    if (landmark := difference.first(runs)) is None:
        return coarse
    return Finding(runs, landmark, cause.of(difference.origin(landmark), runs), detailed=True)


@dataclass
class Tracer:
    engine: Engine
    training: Training
    folder: Path
    key: dict[str, str]

    def run(self, image: str, plan: Plan) -> Run:
        """One traced run in a fresh container of the image; its journals stay on this host."""
        what = f"operations of step {plan.first}" if plan.first else "batches, modules, gradients and updates"
        log.info(f"{image}: {shlex.join(self.training.command)}, watching {what}")
        kept = Path(tempfile.mkdtemp(dir=self.folder))
        plan.write(kept)
        files = {PLAN: (kept / journal.PLAN).read_bytes(), self.training.folder: self.training.script.parent}
        command = ["sh", "-c", STARTED, "trace", *self.training.command]
        names = {"SEEDBED_IMAGE": "compared with another", "SEEDBED_END_OF_LIFE": ""}  # these differ, and do not matter
        with self.engine.started(image, command, files=files, environment=self.key | names, hostname=HOST) as container:
            finished = container.finish()
            if finished.status == TIMED_OUT:
                raise SeedbedError(f"{image}: the training took more than {LONGEST_RUN} s; name a shorter one")
            fetch(container.container, kept)
        (kept / OUTPUT).write_text(finished.stdout)
        (kept / ERRORS).write_text(finished.stderr)
        status = KILLED - finished.status if finished.status > KILLED else finished.status
        run = Run(kept, status, 0.0, cut=plan.last > 0)
        if run.failed:
            raise SeedbedError(f"{image}: the training fails: {last_line(finished.stderr) or run.last_error()}")
        return run


def fetch(container: Any, folder: Path) -> None:
    """The journals of a container that has ended."""
    chunks, _ = container.get_archive(JOURNAL)
    with saved.archive(chunks) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jsonl"):
                content = cast(tarfile.ExFileObject, archive.extractfile(member))
                (folder / Path(member.name).name).write_bytes(content.read())
