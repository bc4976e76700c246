"""The torture harness notices each thing that no try may do, and makes the same try again from seed and number."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.torture import crashes, harness, inputs, mutations
from tests.torture.bench import Bench, Ended
from tests.torture.harness import Try


def fail(message: str, status: int = 1) -> int:
    print(message, file=sys.stderr)
    return status


def leave_a_process() -> None:
    subprocess.Popen(["sleep", "60"])


def raise_an_error() -> None:
    raise ValueError("nobody has foreseen this")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def complaints(monkeypatch, tmp_path: Path):
    """What the harness has to say about a function."""
    monkeypatch.setattr(harness, "KEPT", tmp_path)

    def complaints(function, **options) -> tuple[str, ...]:
        failure = harness.attempt("campaign", lambda random, folder: Try("it", function, ("file",), **options), 1, 2)
        return failure.complaints if failure else ()

    return complaints


@pytest.mark.parametrize(
    "function, complaint",
    [
        (raise_an_error, "traceback: ValueError"),
        (crash, "status -9"),
        (partial(fail, "seedbed: file: bad", 3), "status 3"),
        (partial(fail, "seedbed: file:\nbad"), "the last line is none of ours"),
        (partial(fail, "seedbed: it is bad"), "names none of file"),
        (partial(fail, "seedbed: file: \x1b[31m"), "on stderr"),
        (partial(fail, "seedbed: file: " + "x" * 3000), "a line of more than 2000 characters"),
        (partial(os._exit, 1), "fails without a word"),
        (lambda: Path("left").touch(), "leaves left"),
        (lambda: Path("tmp").rmdir(), "removes tmp"),
        (leave_a_process, "left a process running"),
        (["sh", "-c", "exit 9"], "status 9"),
    ],
)
def test_what_no_try_may_do_is_noticed(complaints, function, complaint: str) -> None:
    assert any(complaint in found for found in complaints(function))


def test_a_hang_is_noticed(complaints, monkeypatch) -> None:
    monkeypatch.setattr(harness, "LIMIT", 0.2)
    assert complaints(partial(time.sleep, 60)) == ("hangs",)


@pytest.mark.parametrize("function", [lambda: 0, partial(fail, "seedbed: file: bad"), ["true"]])
def test_what_it_may_do_is_no_failure(complaints, function) -> None:
    assert complaints(function) == ()


def test_it_may_write_what_it_says_it_writes(complaints) -> None:
    assert complaints(lambda: Path("left").touch(), writes=("left",)) == ()


def test_the_input_of_a_failure_is_kept_beside_what_was_said(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(harness, "KEPT", tmp_path)

    def prepare(random: Random, folder: Path) -> Try:
        (folder / "input").write_text(str(random.random()))
        return Try("it", ["sh", "-c", "cat input; exit 9"])

    failure = harness.attempt("campaign", prepare, 1, 2)
    said = (failure.folder / "report.txt").read_text()
    assert (failure.folder / "input").read_text() in said
    assert failure.command in said and "campaign --seed 1 --only 2" in failure.command


@pytest.mark.parametrize(
    "name, text", [("a.json", '{"a": [1, {"b": "c"}]}'), ("a.yaml", "a: [1, 2]\n"), ("a.lock", "a=1\n")]
)
def test_a_seed_spoils_a_file_the_same_way_again_and_another_differently(tmp_path: Path, name: str, text: str) -> None:
    def spoiled(seed: int) -> tuple[str, object]:
        path = tmp_path / f"{seed}-{len(list(tmp_path.iterdir()))}" / name
        path.parent.mkdir()
        path.write_text(text)
        return mutations.spoil(Random(seed), path), path.is_file() and not path.is_symlink() and path.read_bytes()

    assert all(spoiled(seed) == spoiled(seed) for seed in range(20))
    assert len({str(spoiled(seed)) for seed in range(20)}) > 10


def test_the_same_input_is_spoiled_in_the_same_way_again(tmp_path: Path) -> None:
    def prepared(number: int) -> tuple[str, dict[str, str]]:
        folder = tmp_path / f"{number}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return harness.prepared("inputs", inputs.prepare, 1, number, folder).what, harness.tree(folder)

    first, again = ([prepared(number) for number in range(40)] for _ in range(2))
    assert first == again
    assert len({what for what, _ in first}) > 30


@pytest.mark.parametrize("name", ["a.json", "a.yaml", "a.jsonl"])
@pytest.mark.parametrize("text", ["[" * 100_000, mutations.LAUGHS.decode(), "9" * 5_000, "\udcff"])
def test_what_is_spoiled_already_can_be_spoiled_once_more(tmp_path: Path, name: str, text: str) -> None:
    for seed in range(5):
        (tmp_path / name).write_text(text, errors="surrogateescape")
        mutations.spoil_values(Random(seed), tmp_path / name)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench without an engine, whose cache holds one whole blob."""
    made = Bench(tmp_path / "cache", "", tmp_path / "tmp")
    whole = made.root / "blobs" / "sha256" / hashlib.sha256(b"whole").hexdigest()
    whole.parent.mkdir(parents=True)
    whole.write_bytes(b"whole")
    return made


def test_a_cache_that_is_whole_is_no_failure(bench: Bench) -> None:
    assert [*bench.broken()] == [] and bench.unfinished() == []


@pytest.mark.parametrize("name", ["blobs/sha256/" + "0" * 64, "wheels/0/a.whl", "layers/a.json", "records/a.json"])
def test_what_has_its_final_name_and_is_not_whole_is_noticed(bench: Bench, name: str) -> None:
    (bench.root / name).parent.mkdir(parents=True, exist_ok=True)
    (bench.root / name).write_text("{")
    assert [*bench.broken()] == [f"incomplete: {bench.root / name}"]


@pytest.mark.parametrize("name", ["blobs/sha256/.writing-a", "records/a.partial", "scratch/a", "../../tmp/a"])
def test_what_is_left_over_is_noticed(bench: Bench, name: str) -> None:
    (bench.root / name).parent.mkdir(parents=True, exist_ok=True)
    (bench.root / name).touch()
    assert len(bench.unfinished()) == 1


@pytest.mark.parametrize(
    "how, status, stderr, complaint",
    [
        (signal.SIGINT, 130, "seedbed: interrupted", ""),
        (signal.SIGKILL, -9, "", ""),
        (signal.SIGTERM, 0, "", ""),
        (signal.SIGINT, 1, "seedbed: interrupted", "status 1"),
        (signal.SIGINT, 130, "Traceback (most recent call last)\nKeyboardInterrupt", "traceback"),
        (signal.SIGTERM, 143, "Terminated", "is none of ours"),
    ],
)
def test_how_a_killed_command_ends_is_looked_at(how, status: int, stderr: str, complaint: str) -> None:
    found = [*crashes.complaints_about_end(Ended(status, 0, 0, "", stderr), how)]
    assert (complaint in found[0]) if complaint else found == []
