"""What people read: on stdout what a command was asked for, on stderr everything else.

Text may come from files and programs of anybody's. What is not printable, such as the codes that move a terminal's
cursor or change its title, is shown as an escape sequence.
"""

import os
import sys

EX_IOERR = 74  # sysexits.h


def printable(text: str, keep: str = "") -> str:
    r"""The text with an escape sequence such as `\x1b` for each character that is neither printable nor in `keep`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else escaped(letter) for letter in text)


def escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def prepare() -> None:
    """A stream that is closed stays so: no file that is opened later takes its place. A letter that cannot be encoded
    is shown as an escape sequence."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")


def show(text: str) -> None:
    """Print it. SystemExit: that is impossible, which it says."""
    if sys.stdout is None:
        raise SystemExit(say("standard output is closed", EX_IOERR))
    try:
        print(printable(text, keep="\n\t"))
    except OSError as error:
        lose(error)
    flush()


def flush() -> None:
    """SystemExit: standard output takes no more, which it says."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        lose(error)


def lose(error: OSError) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes once more as it ends
    raise SystemExit(say(f"standard output: {error.strerror}", EX_IOERR))


def log(message: str, prefix: str = "seedbed: ") -> None:
    """One line on stderr; nowhere if there is none (stdout is the program's own), or if it takes no more."""
    say(message, prefix=prefix, keep="")


def say(message: str, status: int = 0, prefix: str = "seedbed: ", keep: str = "\n") -> int:
    """On stderr if there is one: never on stdout, and whatever becomes of it. Returns the status."""
    text = f"{prefix}{printable(message, keep)}\n"
    try:
        if sys.stderr is not None and sys.stderr is not sys.__stderr__:  # a notebook's
            print(text, end="", file=sys.stderr, flush=True)
        elif sys.stderr is not None:
            sys.stderr.flush()
            os.write(2, text.encode(errors="backslashreplace"))  # not into a buffer that Python would write out at exit
    except (OSError, ValueError):  # full, or closed by the program
        pass
    return status


def table(rows: list[tuple[str, ...]]) -> str:
    """The rows with columns of equal width."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
