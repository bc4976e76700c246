"""How a command ended, in words that help."""

from pathlib import Path

import pytest
from seedbed import crash


@pytest.mark.parametrize(
    "status, said",
    [
        (3, "ended with status 3"),
        (-9, "was killed by SIGKILL (out of memory?)"),
        (-7, "was killed by SIGBUS (too little shared memory? see --shm-size)"),
        (-64, "was killed by SIGRTMAX"),
        (-99, "was killed by signal 99"),
    ],
)
def test_the_ending_names_the_signal_and_its_usual_cause(status: int, said: str) -> None:
    assert crash.ending(status) == said


def test_last_words_are_lines_with_words(tmp_path: Path) -> None:
    (tmp_path / "errors.txt").write_text("one\n  two()\n  ^^~~\n\nthree\n\n")
    assert crash.last_words(tmp_path / "errors.txt") == "three"
    assert crash.last_words(tmp_path / "errors.txt", 2) == "  two()\nthree"
    assert crash.last_words(tmp_path / "missing.txt") == "nothing"


@pytest.mark.parametrize(
    "words",
    [
        "OSError: [Errno 98] Address already in use",
        "code: -98, name: EADDRINUSE",
        "FileExistsError: [Errno 17] File exists: 'run-7'",
        "sqlite3.OperationalError: database is locked",
    ],
)
def test_what_only_one_can_have_is_blamed_on_runs_side_by_side(words: str) -> None:
    assert crash.remedy(words, 2) == crash.SIDE_BY_SIDE
    assert crash.remedy(words, 1) == crash.remedy("RuntimeError: mine", 2) == ""
