"""What differs between machines, and how to make it differ on one, in the surroundings of a build."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from builder import commands, files, paths
from builder.catalog.models import Base
from builder.debian import archive as debian
from builder.errors import SeedbedError
from builder.lock.packages import archive_of

YEAR = 365 * 24 * 3600  # seconds
SHUFFLED = "SEEDBED_SHUFFLED"
"""The variable that asks `builder.reproduce.rebuild` for inputs in another order."""


@dataclass(frozen=True)
class Machine:
    """The surroundings of a build: where its code stands, its variables, its umask, and the command that starts it."""

    checkout: Path = paths.ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    umask: int = -1  # subprocess's word for "as it is"
    starter: tuple[str, ...] = ()

    def with_variables(self, **variables: str) -> "Machine":
        return replace(self, environment={**self.environment, **variables})


Change = Callable[[Machine], Machine]
Variation = Callable[[Path, Base], Change]
"""Makes what it needs in a scratch folder, and returns what it does to a machine; SeedbedError where it cannot."""


def prepare(scratch: Path, base: Base) -> tuple[dict[str, Change], dict[str, str]]:
    """All variations by name, as what they change; and those that are impossible here, with the reason."""
    changes, left_out = {}, {}
    for name, variation in VARIATIONS.items():
        try:
            changes[name] = variation(scratch, base)
        except SeedbedError as error:
            left_out[name] = f"not varied: {error}"
    return changes, left_out


def another_checkout(scratch: Path, base: Base) -> Change:
    """Another path, and files as `git clone` writes them: with the umask's modes, and dated now."""
    checkout = scratch / "another checkout, @"
    checkout.mkdir()
    sources = [path for path in paths.ROOT.iterdir() if not path.name.startswith(".")]
    copied = commands.run(["cp", "--recursive", *sources, checkout], umask=0o077)
    if copied.returncode:
        files.check_space(copied.stderr, scratch)
        raise SeedbedError(f"the checkout cannot be copied: {copied.stderr}")
    return lambda machine: replace(machine, checkout=checkout)


def another_locale(scratch: Path, base: Base) -> Change:
    """Turkish, in its old encoding: other rules for upper and lower case, and no UTF-8 by default."""
    locales = unpacked("locales", scratch, base) / "usr/share/i18n"
    made = scratch / "tr_TR.ISO-8859-9"
    command = ["localedef", "--no-archive", "--inputfile=tr_TR", "--charmap=ISO-8859-9", str(made)]
    done = commands.run(command, env={**os.environ, "I18NPATH": str(locales)})
    if not (made / "LC_CTYPE").exists():
        raise SeedbedError(f"localedef could not make {made.name}: {done.stderr}")
    return lambda machine: machine.with_variables(LOCPATH=str(scratch), LC_ALL=made.name)


def another_year(scratch: Path, base: Base) -> Change:
    """A year on for all our processes, those in the chroot of the base's installation too, by Debian's libfaketime.

    So is SOURCE_DATE_EPOCH, as people set it to now. A time namespace would not do: it has no part in the date
    (time_namespaces(7)).
    """
    library = next(unpacked("libfaketime", scratch, base).glob("usr/lib/*/faketime/libfaketime.so.1"))
    variables = {"LD_PRELOAD": str(library), "FAKETIME": f"+{YEAR}"}
    command = [sys.executable, "-c", "import time; print(time.time())"]
    asked = commands.run(command, env={**os.environ, **variables})
    if asked.returncode or float(asked.stdout) < time.time() + YEAR / 2:
        raise SeedbedError(f"libfaketime does not work here: {asked.stderr}")
    now = {"SOURCE_DATE_EPOCH": str(int(time.time()) + YEAR)}
    return lambda machine: machine.with_variables(**variables, **now)


def on_one_cpu(machine: Machine) -> Machine:
    cpu = min(os.sched_getaffinity(0))
    return replace(machine, starter=(*machine.starter, "taskset", "--cpu-list", str(cpu)))


def simple(change: Change) -> Variation:
    """A variation that needs nothing made."""
    return lambda scratch, base: change


VARIATIONS: dict[str, Variation] = {
    "another checkout": another_checkout,
    "umask 077": simple(lambda machine: replace(machine, umask=0o077)),
    "another time zone": simple(lambda machine: machine.with_variables(TZ="SEED-13:30")),
    "another locale": another_locale,
    "one CPU": simple(on_one_cpu),
    "a year on": another_year,
    "inputs in another order": simple(lambda machine: machine.with_variables(**{SHUFFLED: "1"})),
}


def unpacked(package: str, scratch: Path, base: Base) -> Path:
    """A package of the base's release, unpacked. It leaves no trace in what is built, so no lock has it."""
    archive = archive_of(base)
    archive.update()
    [deb] = archive.fetch(archive.resolve([package], dependencies=False), scratch / "packages")
    debian.unpack(deb, scratch / package)
    return scratch / package
