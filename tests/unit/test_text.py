"""What others wrote is shown and does nothing."""

import logging

import pytest

from builder import console
from builder.errors import SeedbedError
from builder.text import last_line, one_line, printable

HOSTILE = "a\x1b[2J\x1b]0;title\x07\r\x9b31m\u202eb\udcff\n"
SHOWN = r"a\x1b[2J\x1b]0;title\x07\r\x9b31m\u202eb\udcff\n"


def test_control_characters_are_written_out():
    assert printable(HOSTILE) == SHOWN
    assert printable("Zürich 日本 😀 [1.0] \\") == "Zürich 日本 😀 [1.0] \\"


def test_several_lines_become_one():
    assert one_line(" a\n  b\x1b\n") == r"a b\x1b"


@pytest.mark.parametrize(
    "show",
    [
        console.print_line,
        lambda text: console.Lines().emit(logging.makeLogRecord({"msg": text})),
        lambda text: console.print_table(("",), [(text,)]),
        lambda text: print(last_line(f"first\n{text[:5]}")),
        lambda text: print(SeedbedError(text)),
    ],
    ids=["data", "log", "table", "what a program said", "error"],
)
def test_nothing_that_is_shown_acts_on_the_terminal(show, capsys):
    show(HOSTILE)
    printed = "".join(capsys.readouterr())
    assert r"\x1b[2J" in printed
    assert all(char.isprintable() or char == "\n" for char in printed)


def test_a_line_has_an_end():
    assert one_line("x" * 5000) == "x" * 999 + "…"
    assert one_line("x" * 1000) == "x" * 1000
