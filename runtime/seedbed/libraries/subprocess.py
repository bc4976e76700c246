"""`subprocess`: equal programs that run at the same time are told apart.

Four workers started as the same program, with the same arguments, folder and environment, would draw the same numbers:
four equal samples. So the second and every later one has a lineage of its own, which goes to it in its environment.
The first has the seed of its parent, and so has a program that was only ever started when the one before it had been
waited for: a script that runs `train.py` again and again gets the same bits each time. Whether a program counts as
running is decided by what its parent has waited for, not by how long it took.
"""

import os
import weakref
from types import ModuleType

from seedbed import lineage
from seedbed.libraries import multiprocessing
from seedbed.wrapping import around

FOLDER, ENVIRONMENT = 8, 9  # positions in Popen's arguments, after the program's

_equals: dict[int, "Equals"] = {}  # hash of what was started, and from which place -> the programs


class Equals:
    """The equal programs that this process has started from one place."""

    def __init__(self) -> None:
        self.started = 0
        self.last = lambda: None  # the latest of them, while somebody holds it
        self.at_once = False  # whether one was ever started before the last had been waited for

    def number(self) -> int:
        """That of the next one: 1 as long as each was waited for before the next was started."""
        last = self.last()
        self.at_once = self.at_once or (last is not None and last.returncode is None)
        self.started = self.started + 1 if self.at_once else 1
        return self.started


def configure(subprocess: ModuleType) -> None:
    """The caller's environment is copied, never changed, and none is given to a program that needs no lineage."""
    popen = subprocess.Popen

    def start_told_apart(start, self, args, *others, **options):
        equals = equal_programs(args, others, options)
        path = equals and next_path(equals)
        if path:
            others, options = with_path(path, others, options)
        start(self, args, *others, **options)
        if equals:
            equals.last, self._seedbed_equals = weakref.ref(self), equals

    def drop_noted(drop, self, *args, **kwargs):
        """What nobody holds any more, nobody will wait for: it counts as running from then on."""
        if self.returncode is None and self._seedbed_equals:
            self._seedbed_equals.at_once = True
        drop(self, *args, **kwargs)

    popen._seedbed_equals = popen.returncode = None
    around(popen, "__init__", start_told_apart)
    around(popen, "__del__", drop_noted)


def equal_programs(args, others: tuple, options: dict) -> Equals | None:
    """The programs equal to this one; None where its lineage was given already, or Popen will refuse the arguments."""
    environ = environment(others, options)
    folder = others[FOLDER] if len(others) > FOLDER else options.get("cwd")
    if environ is None or lineage.VARIABLE in environ:
        return None
    try:
        program = args if isinstance(args, str | bytes | os.PathLike) else tuple(map(os.fsencode, args))
        folder = folder or os.getcwd()  # noqa: PTH109 - pathlib would be imported for this alone
        key = hash((lineage.place(), program, folder, frozenset(environ.items())))
    except (TypeError, OSError):
        return None
    return _equals.setdefault(key, Equals())


def environment(others: tuple, options: dict) -> dict | None:
    """What the program will find; None where it is no dictionary."""
    given = others[ENVIRONMENT] if len(others) > ENVIRONMENT else options.get("env")
    if given is None:
        with multiprocessing.starting:  # in another thread, which would leave a lineage in ours
            return dict(os.environ)
    return dict(given) if hasattr(given, "keys") else None


def next_path(equals: Equals) -> str:
    """Empty for the first where this process has no place itself: it has the seed asked for, as its parent has."""
    number = equals.number()
    return f"{lineage.place()}/x{number}" if lineage.place() or number > 1 else ""


def with_path(path: str, others: tuple, options: dict) -> tuple[tuple, dict]:
    environ = {**environment(others, options), lineage.VARIABLE: path}
    if len(others) > ENVIRONMENT:
        return (*others[:ENVIRONMENT], environ, *others[ENVIRONMENT + 1 :]), options
    return others, {**options, "env": environ}


def state(subprocess: ModuleType) -> dict[str, str]:
    told_apart = hasattr(subprocess.Popen.__init__, "__wrapped__")
    return {"subprocess.Popen": "derived from the seed" if told_apart else "random"}
