"""Text from elsewhere, made safe for a terminal or for one line of a log, and matched. Standard library only."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def printable(text: str) -> str:
    r"""The text with everything that a terminal acts on instead of showing it written out, `\x1b` for an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


LONGEST_LINE = 1000


def one_line(text: str) -> str:
    """The text as one printable line, cut if it is too long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def last_line(text: str) -> str:
    """The last line of a program's output that is not empty, with control characters escaped."""
    return printable(next((line for line in reversed(text.splitlines()) if line.strip()), ""))


def matches(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches all of the text; `*` matches slashes too, as it does for dpkg."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)
