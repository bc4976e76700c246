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


RANK = """
[rank0]: Traceback (most recent call last):
[rank0]:   File "/w/x.py", line 3, in <module>
[rank0]:     raise ValueError("no such split")
[rank0]: ValueError: no such split
E1126 20:00 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1)
Traceback (most recent call last):
  File "/opt/venv/bin/torchrun", line 8, in <module>
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
x.py FAILED
------------------------------------------------------------
"""
IGNORED = """
Traceback (most recent call last):
  File "x.py", line 2, in <module>
ValueError: no such split
Exception ignored in: <function Pool.__del__ at 0x7f>
Traceback (most recent call last):
  File "pool.py", line 268, in __del__
OSError: [Errno 9] Bad file descriptor
resource_tracker: There appear to be 1 leaked semaphore objects
bye
"""
GROUP = """
  + Exception Group Traceback (most recent call last):
  |   File "x.py", line 4, in <module>
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "x.py", line 2, in <module>
    | ValueError: no such split
    +------------------------------------
"""
SIGSEGV = """
Fatal Python error: Segmentation fault

Current thread 0x00007f (most recent call first):
  File "x.py", line 7 in step
  File "x.py", line 9 in <module>

Extension modules: numpy.core._multiarray_umath (total: 1)
"""


@pytest.mark.parametrize(
    "text, why",
    [
        (RANK, "ValueError: no such split"),
        (IGNORED, "ValueError: no such split"),
        (GROUP, "ValueError: no such split"),
        (SIGSEGV, 'Fatal Python error: Segmentation fault (File "x.py", line 7 in step)'),
    ],
)
def test_the_reason_comes_first_whatever_was_said_after_it(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "errors.txt").write_text(text)
    assert crash.last_words(tmp_path / "errors.txt") == why
    assert crash.last_words(tmp_path / "errors.txt", 3).splitlines()[0] == why
    assert len(crash.last_words(tmp_path / "errors.txt", 3).splitlines()) == 3


def test_a_traceback_in_the_first_line_is_the_reason_whatever_the_last_line_is(tmp_path: Path) -> None:
    lines = (
        "Traceback (most recent call last):",
        '  File "x.py", line 2',
        "ValueError: no split",
        "Exception ignored in: x",
    )
    (tmp_path / "errors.txt").write_text("\n".join(lines))
    assert crash.last_words(tmp_path / "errors.txt") == "ValueError: no split"


def test_where_nothing_is_on_standard_error_the_last_words_are_what_was_printed(tmp_path: Path) -> None:
    (tmp_path / "errors.txt").touch()
    assert crash.last_words(tmp_path / "errors.txt", 1, ["step 1", "no such split", ""]) == "no such split"
    (tmp_path / "errors.txt").write_text("killed\n")
    assert crash.last_words(tmp_path / "errors.txt", 1, ["step 1"]) == "killed"


@pytest.mark.parametrize(
    "words",
    [
        "OSError: [Errno 98] Address already in use",
        "code: -98, name: EADDRINUSE",
        "sqlite3.OperationalError: database is locked",
    ],
)
def test_what_only_one_can_have_is_blamed_on_runs_side_by_side(words: str) -> None:
    assert crash.remedy(words, 2) == crash.SIDE_BY_SIDE
    assert crash.remedy(words, 1) == crash.remedy("RuntimeError: mine", 2) == ""


@pytest.mark.parametrize("words", ["FileExistsError: [Errno 17] File exists: 'out'", "Directory not empty: 'out'"])
def test_what_another_run_has_left_asks_for_a_place_of_its_own(words: str) -> None:
    assert crash.remedy(words, 1) == crash.remedy(words, 2)
    assert crash.remedy(words, 1).endswith("as in --out out/{run}")
    assert crash.remedy(words, 1, "{folder}/out").endswith("as in --out {folder}/out")
