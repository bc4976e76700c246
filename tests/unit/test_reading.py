"""Reading what others wrote: no hang, no traceback; file and line."""

import os
from pathlib import Path

import pytest

from builder import reading
from builder.errors import UsageError


def complaint(path: Path) -> str:
    with pytest.raises(UsageError) as refused:
        reading.text(path)
    return str(refused.value).removeprefix(str(path))


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    """Control: a FIFO would keep us waiting for its writer, and /dev/zero has no end."""
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to("/dev/zero")
    for path in (fifo, link, tmp_path):
        assert complaint(path) == ": cannot be read: not a regular file"


def test_what_is_not_there_says_so(tmp_path):
    assert complaint(tmp_path / "x") == ": cannot be read: No such file or directory"


def test_what_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "x").write_bytes(b"a\nb\n\xff")
    assert complaint(tmp_path / "x") == ":3: expected UTF-8, found the byte 0xff"


def test_what_no_document_could_be_is_not_read(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(1 << 40)
    assert complaint(tmp_path / "x") == ": larger than 1 MiB, the most that is read"


def test_lines_may_end_as_elsewhere(tmp_path):
    (tmp_path / "x").write_bytes(b"a\r\nb\rc\n")
    assert reading.text(tmp_path / "x") == "a\nb\nc\n"


def test_a_script_is_named_by_its_docstring(tmp_path):
    (tmp_path / "x.py").write_text('"""The GPU is seen.\n\nBy torch."""\n')
    assert reading.title_of(tmp_path / "x.py") == "The GPU is seen"
    (tmp_path / "x.py").write_text("print(1)\n")
    with pytest.raises(UsageError, match=r"x\.py: expected a docstring in triple quotes"):
        reading.title_of(tmp_path / "x.py")
