"""What programs come to is written beside the image, by program and kind of machine, and read by `diff --locks`."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.image.recipe import Recipe, resolve_one
from builder.outcomes import Finished, Result
from builder.reproduce import numbers as compared
from builder.smoke import numbers

FIRST, SECOND = "a" * 64, "b" * 64


class Container:
    """One on such a machine."""

    def __init__(self, kind: str = "AuthenticAMD avx2, threads 2", status: int = 0) -> None:
        self.kind, self.status = kind, status

    def run(self, command: Sequence[str], *, environment: dict[str, str]) -> Finished:
        assert command[1:3] == ["python", "-c"]
        return Finished(self.status, json.dumps([self.kind, "AMD EPYC"]), "no such module\n")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """That of an image with programs; what is written goes into another folder."""
    (tmp_path / "image").mkdir()
    monkeypatch.setattr(numbers, "FILE", tmp_path / "image" / "programs.json")
    return resolve_one(paths.IMAGES, "pytorch")


def passed(program: str, sha256: str) -> Result:
    return Result(check=f"repeats: {program}", outcome="passed", detail=sha256, seconds=1)


def test_what_programs_come_to_is_written_with_where_that_was(recipe):
    other = Result(check="every command starts", outcome="passed", seconds=1)
    numbers.write(recipe, Container(), [passed("pool", FIRST), other])
    [(program, kinds)] = json.loads(numbers.FILE.read_text()).items()
    [(kind, found)] = kinds.items()
    assert (program, kind) == ("pool", "AuthenticAMD avx2, threads 2")
    assert (found["parameters"], found["machine"], found["lock"]) == (FIRST, "AMD EPYC", f"sha256:{recipe.lock}")


def test_what_failed_or_was_skipped_is_not_written(recipe):
    failed = Result(check="repeats: pool", outcome="failed", detail="it varies", seconds=1)
    numbers.write(recipe, Container(), [failed])
    assert json.loads(numbers.FILE.read_text()) == {}


def test_what_other_machines_and_other_programs_came_to_stays(recipe):
    numbers.write(recipe, Container(), [passed("pool", FIRST), passed("loop", FIRST)])
    before = numbers.FILE.read_text()
    numbers.write(recipe, Container("GenuineIntel avx2, threads 2"), [passed("pool", SECOND)])
    numbers.write(recipe, Container(), [passed("pool", FIRST)])
    known = compared.read(numbers.FILE.read_text(), "")
    assert len(known) == 3
    assert compared.compare("", compared.read(before, ""), known, recipe.lock).same == 2


def test_the_file_is_one_that_diff_compares(recipe):
    """Control: with other bits it says so, and that they were found with the locks as they are."""
    numbers.write(recipe, Container(), [passed("pool", FIRST)])
    before = compared.read(numbers.FILE.read_text(), "")
    numbers.write(recipe, Container(), [passed("pool", SECOND)])
    after = compared.read(numbers.FILE.read_text(), "")
    [number] = compared.compare("", before, after, recipe.lock).changed
    assert [(change.name, change.before, change.after) for change in number.changes] == [("parameters", FIRST, SECOND)]
    assert number.current


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', '{"a": [1]}'])
def test_a_broken_file_is_named(text, recipe):
    numbers.FILE.write_text(text)
    with pytest.raises(SeedbedError, match=r"programs\.json: expected numbers by program and kind of machine"):
        numbers.write(recipe, Container(), [passed("pool", FIRST)])


def test_a_machine_whose_kind_cannot_be_told_is_an_error(recipe):
    with pytest.raises(SeedbedError, match="cannot be told: no such module"):
        numbers.write(recipe, Container(status=1), [])


def test_the_probe_tells_a_kind_in_the_words_of_golden_json():
    environment = {**os.environ, "PYTHONPATH": str(paths.RUNTIME), "OMP_NUM_THREADS": "3"}
    done = subprocess.run([sys.executable, "-c", numbers.PROBE], env=environment, capture_output=True, check=True)
    kind, machine = json.loads(done.stdout)
    assert kind.endswith(", threads 3") and machine
