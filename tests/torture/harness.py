"""What campaigns have in common: tries that a seed and a number repeat, what no try may do, and the table."""

import hashlib
import os
import re
import resource
import select
import shlex
import shutil
import signal
import stat
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from typing import Protocol

from builder.cli.group import VerbGroup

LIMIT = 15.0  # seconds for a try; on busy cores an honest one takes one or two
LARGEST_MEMORY = 2 << 30
LONGEST_LINE = 2000
ERRORS = (1, 2, os.EX_IOERR)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OUR_LINE = re.compile(r"seedbed(?: \w+)?: |Error: |Usage: ")
UNFINISHED = re.compile(r"\.partial|\.writing-")
KEPT = Path(tempfile.gettempdir(), "torture-failures")


@dataclass(frozen=True)
class Try:
    """Something to be done in a folder that has been prepared: a function in a forked child, or a command.

    An error has to contain one of `names`. The try may make or change files that match `writes`, and nothing else.
    `answers`: status 1 may be an answer on stdout and no error. `usage`: an error may be how to use it.
    `check` has more complaints, from status and output.
    """

    what: str
    run: Callable[[], object] | Sequence[str]
    names: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    writes: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (0, 1, 2)
    answers: bool = False
    usage: bool = False
    check: Callable[["Outcome"], Iterable[str]] = lambda outcome: ()


@dataclass(frozen=True)
class Outcome:
    """How a try ended: its status, negative for a signal, None where it had to be stopped; and what it said."""

    status: int | None
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Failure:
    """What a try has done wrong; `form` is the option that chooses the campaign's form."""

    campaign: str
    seed: int
    number: int
    what: str
    complaints: tuple[str, ...]
    form: str = ""

    @property
    def command(self) -> str:
        words = [".venv/bin/python -m tests.torture", self.campaign, *filter(None, [self.form])]
        return f"{' '.join(words)} --seed {self.seed} --only {self.number}"

    @property
    def folder(self) -> Path:
        return KEPT / f"{self.campaign}{self.form}-{self.seed}-{self.number}"


class Attempt(Protocol):
    """Makes one try, the same from the same seed and number. With `show` it shows what the try says."""

    def __call__(self, seed: int, number: int, *, short: bool, show: bool) -> Failure | None: ...


@dataclass(frozen=True)
class Campaign:
    """`tries` and `short`: how many there are in either form. `obstacle` says why there can be none here.

    `close` is called after the last.
    """

    name: str
    tries: int
    short: int
    attempt: Attempt
    parallel: bool = True
    obstacle: Callable[[], str | None] = lambda: None
    close: Callable[[], None] = lambda: None


Prepare = Callable[[Random, Path], Try]
"""Makes a try, from a generator and an empty folder for all it needs."""


def attempt(
    campaign: str, prepare: Prepare, seed: int, number: int, *, short: bool = False, show: bool = False
) -> Failure | None:
    """A try in a folder of its own. What a failure was given is kept, beside what it said."""
    with tempfile.TemporaryDirectory(prefix="torture-") as scratch:
        folder = Path(scratch, "work")
        folder.mkdir()
        made = prepared(campaign, prepare, seed, number, folder)
        before = tree(folder)
        outcome, left = carried_out(made, folder, Path(scratch))
        moved = changes(made, before, tree(folder)) if outcome.status is not None else ()
        complaints = (*left, *complaints_about(made, outcome), *moved)
        if show:
            print(shown(f"{made.what}\nstatus {outcome.status}\n{outcome.stdout}{outcome.stderr}"), end="")
    if not complaints:
        return None
    failure = Failure(campaign, seed, number, made.what, complaints)
    keep(failure, prepare, outcome)
    return failure


def prepared(campaign: str, prepare: Prepare, seed: int, number: int, folder: Path) -> Try:
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    return prepare(Random(f"{campaign} {seed} {number}"), folder)


def keep(failure: Failure, prepare: Prepare, outcome: Outcome) -> None:
    """The input as it was before, made once more, and a report."""
    shutil.rmtree(failure.folder, ignore_errors=True)
    failure.folder.mkdir(parents=True)
    prepared(failure.campaign, prepare, failure.seed, failure.number, failure.folder)
    report = [failure.command, failure.what, *failure.complaints, f"status {outcome.status}"]
    text = "\n".join([*report, "--- stdout", outcome.stdout, "--- stderr", outcome.stderr])
    (failure.folder / "report.txt").write_text(text, encoding="utf-8", errors="backslashreplace")


def as_command(function: Callable[[], object]) -> Callable[[], object]:
    """The function as a command of ./build.py, which says in one line why it fails."""
    group = VerbGroup(name="build.py")
    group.command("it", example="./build.py it")(function)
    return lambda: group.main(["it"])


# ---- carrying out --------------------------------------------------------------------------------------------------


def carried_out(made: Try, folder: Path, scratch: Path) -> tuple[Outcome, list[str]]:
    """Do it in a process group of its own, within the limit. Also returns a complaint where it left a process."""
    output, errors = scratch / "stdout", scratch / "stderr"
    child = os.fork()
    if not child:
        become(made, folder, output, errors)
    with os.fdopen(os.pidfd_open(child), closefd=True) as process:
        ended, _, _ = select.select([process], [], [], LIMIT)
    left = []
    if not ended:
        os.kill(child, signal.SIGKILL)  # it may not have its group yet, which ends below
    _, status = os.waitpid(child, 0)
    try:
        os.killpg(child, signal.SIGKILL)
        left += ["left a process running"] if ended else []
    except ProcessLookupError:
        pass
    said = [path.read_bytes().decode(errors="surrogateescape") if path.exists() else "" for path in (output, errors)]
    return Outcome(os.waitstatus_to_exitcode(status) if ended else None, *said), left


def become(made: Try, folder: Path, output: Path, errors: Path) -> None:
    """In the child: never returns."""
    status = 70
    try:
        os.setsid()
        os.chdir(folder)
        for number, path in ((1, output), (2, errors)):
            descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY, LARGEST_MEMORY))
        os.environ.clear()
        os.environ |= surroundings(folder) | made.environment
        tempfile.tempdir = None
        if not callable(made.run):
            os.execvp(made.run[0], list(made.run))
        status = ended_with(made.run)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended_with(run: Callable[[], object]) -> int:
    """The status that Python would end with."""
    try:
        found = run()
    except SystemExit as end:
        found = end.code
        if isinstance(found, str):
            print(found, file=sys.stderr)
            return 1
    return found if isinstance(found, int) else 0


def surroundings(folder: Path) -> dict[str, str]:
    """Variables of a machine that has nothing: no engine, no network, and a home and a cache of its own."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "SEEDBED_CACHE": str(folder / "cache"),
        "SEEDBED_ENGINE": "host",
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1",
        "PIP_RETRIES": "0",
    }


# ---- what no try may do --------------------------------------------------------------------------------------------


def complaints_about(made: Try, outcome: Outcome) -> Iterable[str]:
    if outcome.status is None:
        yield "hangs"
        return
    if "Traceback (most recent call last)" in outcome.stderr or "Fatal Python error" in outcome.stderr:
        yield f"traceback: {place_of(outcome.stderr)}"
        return
    if outcome.status not in made.statuses:
        yield f"status {outcome.status}"
    for name, text in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if found := CONTROLS.search(text):
            yield f"{found[0]!r} on {name}"
        if len(max(text.splitlines(), key=len, default="")) > LONGEST_LINE and name == "stderr":
            yield f"a line of more than {LONGEST_LINE} characters on {name}"
    if outcome.status in ERRORS and not (made.answers and outcome.status == 1 and outcome.stdout):
        yield from complaints_about_error(made, outcome.stderr.splitlines())
    yield from made.check(outcome)


def complaints_about_error(made: Try, lines: list[str]) -> Iterable[str]:
    ours = [line for line in lines if OUR_LINE.match(line)]
    if not lines:
        yield "fails without a word"
    elif lines[0].startswith("Usage: ") and made.usage:
        return
    elif not ours or lines[-1] != ours[-1]:
        yield f"the last line is none of ours: {lines[-1][:80]!r}"
    elif made.names and not any(name in lines[-1] for name in made.names):
        yield f"names none of {', '.join(made.names)}: {lines[-1][:160]!r}"


def place_of(stderr: str) -> str:
    """What was raised, and where in our code: `RecursionError in builder/source.py read`."""
    places = re.findall(r'File "[^"]*?/((?:builder|runtime/seedbed)/[^"]+|build\.py)", line \d+, in (\w+)', stderr)
    raised = re.findall(r"^([\w.]+)(?::|$)", stderr, re.MULTILINE)
    return f"{raised[-1] if raised else '?'} in {' '.join(places[-1]) if places else '?'}"


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder by its path, with what it is."""
    return {str(path.relative_to(folder)): kind_of(path) for path in sorted(folder.rglob("*"))}


def kind_of(path: Path) -> str:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(found.st_mode):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return stat.filemode(found.st_mode)[0]


def changes(made: Try, before: dict[str, str], after: dict[str, str]) -> Iterable[str]:
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    for path in sorted(changed):
        if not may_write(made, path):
            yield f"{'leaves' if path not in before else 'removes' if path not in after else 'changes'} {path}"


def may_write(made: Try, path: str) -> bool:
    """Nothing unfinished, and of temporary files only what is named."""
    patterns = (pattern for pattern in made.writes if pattern != "*" or not path.startswith("tmp/"))
    return not UNFINISHED.search(path) and any(fnmatch(path, pattern) for pattern in patterns)


# ---- the table -----------------------------------------------------------------------------------------------------


def print_failures(failures: Sequence[Failure]) -> None:
    """Those of one kind together, with the command that repeats the first."""
    kinds: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in failures:
        kinds[failure.what.partition(":")[0], re.sub(r"\d+|'.*", "…", failure.complaints[0])].append(failure)
    for (target, _), those in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        first = those[0]
        print(f"{len(those)} x {target}: {shown(first.complaints[0])}\n  {first.command}\n  {first.folder}/")
    if failures:
        KEPT.mkdir(exist_ok=True)
        lines = [f"{failure.command}\t{failure.what}\t{'; '.join(failure.complaints)}" for failure in failures]
        text = "".join(f"{shown(' '.join(line.splitlines()))}\n" for line in lines)
        (KEPT / "failures.txt").write_text(text, encoding="utf-8")
        print(f"all of them: {KEPT}/failures.txt")


def shown(text: str) -> str:
    """The text with all that a terminal would act on written out."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )


def print_table(rows: Iterable[tuple[str, int, int]]) -> None:
    for campaign, tries, failures in (("campaign", "tries", "failures"), *rows):
        print(f"{campaign:12} {tries:>8} {failures:>9}")


def quoted(command: Sequence[str]) -> str:
    return shown(shlex.join(command))
