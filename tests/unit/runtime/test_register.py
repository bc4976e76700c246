"""The register of docs/libraries.md agrees with what is seeded, and every row has a script and can fail."""

import pytest
from seedbed.boot import WAITED_FOR
from seedbed.libraries.native import SEEDED

from tests.image.register import (
    CALLED,
    CONSTANT,
    FOLLOWS,
    NEVER,
    REGISTER,
    RESULTS,
    SCRIPTS,
    Row,
    faults,
    requirements,
    script,
)

ROWS = [pytest.param(row, id=row.module) for row in REGISTER]
SEEDED_IN_VAIN = {"sentencepiece"}  # from some version on


def test_no_library_stands_in_it_twice() -> None:
    names = [row.module for row in REGISTER]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_script_that_says_what_it_draws(row: Row) -> None:
    assert script(row).read_text().startswith('"""')


@pytest.mark.parametrize("row", ROWS)
def test_a_rows_result_follows_from_how_it_is_seeded(row: Row) -> None:
    assert row.result.partition(";")[0] == RESULTS[row.how]


def test_no_script_is_without_a_row() -> None:
    assert {path for path in SCRIPTS.iterdir() if path.suffix == ".py"} == {script(row) for row in REGISTER}


def test_the_hook_waits_for_each_library_that_is_seeded_on_import() -> None:
    assert {name for name, library in WAITED_FOR.items() if library == "native"} == set(SEEDED)


def test_the_register_has_each_library_that_is_seeded_on_import() -> None:
    called = {row.module for row in REGISTER if row.how == CALLED}
    assert {name.partition(".")[0] for name in SEEDED} - SEEDED_IN_VAIN == called


def test_what_pip_installs_is_pinned_and_leaves_the_standard_library_out() -> None:
    wanted = requirements(list(REGISTER))
    assert "polars==2.1.0" in wanted
    assert not any(name.startswith("sqlite3") for name in wanted)


class Drawn:
    """Answers as a script would that draws these numbers in turn, in each mode and with another seed."""

    def __init__(self, strict: str, off: str, other: str) -> None:
        self.strict, self.off, self.other = iter(strict), iter(off), other

    def __call__(self, **variables: str) -> str:
        if "SEEDBED_SEED" in variables:
            return self.other
        return next(self.off if variables else self.strict)


SEEN = {  # what scripts print: in strict, in mode off, with another seed
    CALLED: ("aaa", "bc", "d"),
    FOLLOWS: ("aaa", "bc", "d"),
    CONSTANT: ("aaa", "aa", "a"),
    NEVER: ("abc", "de", "f"),
}


def row_of(how: str, by: str) -> Row:
    return Row("library", "library", "1", "C", how, by, RESULTS[how])


@pytest.mark.parametrize("said", SEEN)
@pytest.mark.parametrize("seen", SEEN)
def test_a_row_holds_only_for_what_it_says(said: str, seen: str) -> None:
    found = faults(row_of(said, "a call"), Drawn(*SEEN[seen]))
    assert (found == []) == (SEEN[said] == SEEN[seen])


def test_a_constant_that_now_follows_the_seed_must_follow_it() -> None:
    row = row_of(CALLED, "a call; a constant otherwise")
    assert faults(row, Drawn("aaa", "bb", "c")) == []
    assert faults(row, Drawn("aaa", "aa", "a")) == ["follows the seed: False, the row says True"]
