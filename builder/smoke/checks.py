"""What holds in every Python that has the startup hook, as plain functions. Standard library only.

`smoke` makes these checks in an image, and some that only an image can pass; `host` where nothing can be installed.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from re import MULTILINE, search
from typing import Any, Protocol, TypeVar

from builder.errors import SeedbedError
from builder.outcomes import Finished, Outcome, Result
from builder.reading import title_of
from builder.text import last_line

SKIPPED = 77
BYPASSED = [""]  # what `docker run --entrypoint ""` sends
REPEATED = 3
OFF = {"SEEDBED_MODE": "off"}
OTHER_SEED = {"SEEDBED_SEED": "7"}
CLAIM = "repeats: "  # how the checks that run a program begin
RUNS_AT_ONCE = 2  # of one program
# Each with a thread for every CPU: a thread that waits must not keep a CPU busy meanwhile.
PROGRAMS_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "SEEDBED_QUIET": "1"}


Given, Found = TypeVar("Given"), TypeVar("Found")


class Failed(SeedbedError):
    """What the check claims does not hold; the message says what was found instead."""


class Skipped(Exception):
    """The check cannot be made here; the message says why."""


class Subject(Protocol):
    """A Python with the startup hook, and how to run things in it."""

    cuda: bool  # whether a framework that may use a GPU is there

    def need(self, *modules: str) -> None:
        """`Skipped` unless these can be imported. An image has all that its checks import."""

    def finish(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, entrypoint: Any = None
    ) -> Finished:
        """Run a command, however it ends. `BYPASSED`: as if nothing wrapped it."""

    def run(self, *command: str, expected: int = 0, **options: Any) -> Finished:
        """Run a command; `Failed`, with its last words, unless it ends with the status expected."""
        finished = self.finish(command, **options)
        if finished.status != expected:
            said = last_line(finished.stderr) or last_line(finished.stdout)
            raise Failed(f"{' '.join(command)[:60]!r} ended with status {finished.status}, not {expected}: {said}")
        return finished

    def train(self, **environment: str) -> str:
        """Run the example training; returns the sha256 over its final parameters."""

    def script(self, script: Path) -> Finished:
        """Run a check that is a script."""

    def program(self, script: Path, environment: Mapping[str, str]) -> str:
        """Run a program on the CPU; returns the sha256 that it ends with."""


Check = Callable[[Any], str | None]
"""Of a subject. What it returns is worth keeping although it passes: of a program, the sha256 that it ends with."""


def make(subject: Subject, name: str, check: Check | str) -> Result:
    """Make a check; in place of one that cannot be made stands the reason. What cannot be run at all has failed."""
    began = time.monotonic()
    outcome: Outcome = "passed"
    try:
        if isinstance(check, str):
            raise Skipped(check)
        detail = check(subject) or ""
    except Skipped as skipped:
        outcome, detail = "skipped", str(skipped)
    except SeedbedError as failed:
        outcome, detail = "failed", str(failed)
    return Result(name, outcome, detail, round(time.monotonic() - began, 1))


def runs_commands(subject: Subject) -> None:
    subject.run("bash", "-c", "exit 7", expected=7)
    said = subject.run("bash", "-c", 'cd "${TMPDIR:-/tmp}" && echo "print(6 * 7)" > x.py && python x.py').stdout
    if said.strip() != "42":
        raise Failed(f"'python x.py' printed {said.strip()!r} instead of 42")


def names_seed_and_mode(subject: Subject) -> None:
    said = first_line(subject.run("true", environment={"SEEDBED_SEED": "7", "SEEDBED_MODE": "warn"}).stderr)
    if "seed 7" not in said or "mode warn" not in said:
        raise Failed(f"the log's first line should name seed 7 and mode warn; it is {said!r}")


def refuses_a_bad_seed(subject: Subject) -> None:
    finished = subject.finish(["true"], environment={"SEEDBED_SEED": "4294967296"})
    if finished.status == 0 or "SEEDBED_SEED" not in finished.stderr:
        raise Failed("a seed of 2^32 was accepted")


def knows_what_is_in_force(subject: Subject) -> None:
    subject.run("seedbed", "info")
    fixed = {"PYTHONHASHSEED": "42"}
    broken = [{"PYTHONHASHSEED": "random"}, *([fixed | {"CUBLAS_WORKSPACE_CONFIG": "garbage"}] if subject.cuda else [])]
    for environment in broken:
        subject.run("seedbed", "info", environment=environment, entrypoint=BYPASSED, expected=1)


def trains_to_the_same_bits(subject: Subject) -> None:
    first, again, other = subject.train(), subject.train(), subject.train(**OTHER_SEED)
    if first != again:
        raise Failed(f"two trainings with one seed ended with different parameters: {first[:12]}, {again[:12]}")
    if first == other:
        raise Failed(f"training with another seed changed nothing: {first[:12]}")


def differs_with_seedbed_disabled(subject: Subject) -> None:
    """The negative control: with Seedbed disabled the same script does not repeat."""
    if subject.train(**OFF) == subject.train(**OFF):
        raise Failed("two trainings with SEEDBED_MODE=off agree, so the check of equal bits proves nothing")


def seeds_without_its_entrypoint(subject: Subject) -> None:
    subject.need("numpy")
    draw = ["python", "-c", "import random, numpy; print(random.random(), numpy.random.default_rng().random())"]
    first, again = (subject.run(*draw, entrypoint=BYPASSED).stdout for _ in range(2))
    off = subject.run(*draw, entrypoint=BYPASSED, environment=OFF).stdout
    if first != again or first == off:
        raise Failed("with the entrypoint bypassed, random and numpy are not seeded")


def passes(script: Path) -> Check:
    """A check made by a script: status 0 passes, 77 skips, anything else fails."""

    def check(subject: Subject) -> None:
        finished = subject.script(script)
        if finished.status == SKIPPED:
            raise Skipped(last_line(finished.stdout))
        if finished.status:
            raise Failed(last_line(finished.stderr) or f"status {finished.status}")

    return check


def repeats(script: Path) -> Check:
    """A check that a program repeats, follows the seed, and differs with Seedbed disabled. Returns its sha256."""

    def check(subject: Subject) -> str:
        environments = [{}] * REPEATED + [OTHER_SEED] + [OFF] * 2
        digests = list(side_by_side(partial(subject.program, script), environments))
        equal, other_seed, disabled = digests[:REPEATED], digests[REPEATED], digests[REPEATED + 1 :]
        if len(set(equal)) > 1:
            raise Failed(f"runs with one seed end differently: {brief(equal)}")
        if other_seed in equal:
            raise Failed(f"another seed changes nothing: {brief(equal)}")
        if len(set(disabled)) < len(disabled):
            raise Failed(f"it repeats with Seedbed disabled too, so it proves nothing: {brief(disabled)}")
        return equal[0]

    return check


OWN_PACKAGES = "the packages here are the host's own"
OWN_USER = "a container's users; here it is the one who runs this"
GOLDEN_FILE = "golden.json"

COMMON: dict[str, Check | str] = {
    "holds what its lock says": f"the lock is the image's; {OWN_PACKAGES}",
    "dependencies agree (pip check)": OWN_PACKAGES,
    "runs commands, passes exit codes": runs_commands,
    "first log line names seed and mode": names_seed_and_mode,
    "refuses a bad seed": refuses_a_bad_seed,
    "seedbed info sees what is in force": knows_what_is_in_force,
    "every command starts": "the commands here are the host's own",
    "has kernels for the GPUs that it names": "the wheels here are the host's own",
    "pip works for any user, and in virtual environments": OWN_USER,
    "every user has a home and a name": OWN_USER,
    "works read-only": "a container's file system",
    "gives nobody another user's rights": "the programs here are the host's own",
    "trains to the same bits": trains_to_the_same_bits,
    "differs with Seedbed disabled (negative control)": differs_with_seedbed_disabled,
    "seeds without its entrypoint": seeds_without_its_entrypoint,
}
"""Those of every image, in their order; a text says why a check can be made in an image alone."""

GOLDEN: dict[str, Check | str] = {
    "trains to its golden fingerprint": "they belong to the image's lock",
    "trains to its golden fingerprint (GPU)": "they belong to the image's lock",
}
"""Those of an image with golden fingerprints."""


def checks_of(image: Path, programs: Collection[str] | None = None) -> dict[str, Check | str]:
    """The common checks, the golden ones if any, then one for each script in the image's `smoke` and `programs`.

    They are named by the docstrings of the scripts. `programs`: of those, only the scripts of these names.
    """
    golden = GOLDEN if (image / GOLDEN_FILE).exists() else {}
    inside = {title_of(script): passes(script) for script in sorted(image.glob("smoke/*.py"))}
    scripts = [path for path in sorted(image.glob("programs/*.py")) if programs is None or path.name in programs]
    return COMMON | golden | inside | {f"{CLAIM}{title_of(script)}": repeats(script) for script in scripts}


def programs_at_once() -> int:
    """As many as there are CPUs for."""
    return max(1, len(os.sched_getaffinity(0)) // RUNS_AT_ONCE)


def side_by_side(
    call: Callable[[Given], Found], given: Sequence[Given], at_once: int = RUNS_AT_ONCE
) -> Iterator[Found]:
    """What comes of each, in order; so many at a time."""
    pool = ThreadPoolExecutor(at_once)
    try:
        yield from pool.map(call, given)
    finally:  # whoever is interrupted ends the programs, and does not wait for them
        pool.shutdown(wait=False, cancel_futures=True)


def parameters(script: Path, finished: Finished) -> str:
    """The sha256 over its parameters that a training has printed; `Failed` where it did not, or did not end well."""
    if finished.status:
        raise Failed(f"{script.name} ended with status {finished.status}: {last_line(finished.stderr)}")
    if not (found := search(r"^parameters sha256: ([0-9a-f]{64})$", finished.stdout, MULTILINE)):
        raise Failed(f"{script.name} printed no 'parameters sha256:' line")
    return found[1]


def brief(digests: Sequence[str]) -> str:
    return ", ".join(digest[:8] for digest in digests)


def first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")
