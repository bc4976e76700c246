"""Files that anybody may have made: no hang, no traceback, no link followed; one line names the file and the key."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from seedbed import files, golden, replay
from seedbed.recording import facts, record
from seedbed.recording.record import Rank, Record, Step
from seedbed.sweep import figure, metric, page, runs, summary
from seedbed.sweep.metric import Metric, Missing
from seedbed.sweep.plan import Plan

RUN = {
    "command": ["python", "train.py"],
    "folder": "/workspace",
    "seed": 42,
    "mode": "strict",
    "image": {"name": "pytorch", "tag": "2.7.1", "lock": "sha256:" + "1" * 64},
    "cpu": {"model": "A", "vendor": "B", "instructions": []},
    "gpus": [],
    "threads": 4,
    "environment": {},
    "sources": {},
    "data": {},
    "commit": None,
}
STEP = {"step": 1, "loss": ["0x1p+0"], "parameters": "p"}


def write(folder: Path, *lines: object, name: str = "rank0.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / name).write_text("".join(f"{text}\n" for text in texts))
    return folder


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


NO_FILES = {
    "a FIFO": make_fifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
    "1048576 MiB": make_sparse,
    "Too many levels of symbolic links": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("said", NO_FILES)
@pytest.mark.parametrize("arguments", [("compare", "r", "r"), ("replay", "r"), ("golden", "golden.json", "--", "true")])
def test_what_is_no_regular_file_is_named_and_nothing_waits_for_it(
    seedbed, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    name = "golden.json" if arguments[0] == "golden" else "r/rank0.jsonl"
    (tmp_path / "r").mkdir()
    NO_FILES[said](tmp_path / name)
    done = seedbed(*arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name}: expected " in line and said in line


DEEP = '{"run": {"x": ' + "[" * 100_000 + "]" * 100_000 + "}}"
LINES = {
    "loss: expected a list of hexadecimal numbers": [{"run": RUN}, STEP | {"loss": [1.5]}],
    "step: expected a whole number": [{"run": RUN}, STEP | {"step": "one"}],
    "norm: expected a hexadecimal number": [{"run": RUN}, STEP | {"norm": "0x1p+99999"}],
    "parameters: expected text": [{"run": RUN}, STEP | {"parameters": {}}],
    "thread: expected text": [{"run": RUN}, STEP | {"thread": 1}],
    "metrics: expected hexadecimal numbers by name": [{"run": RUN}, {"epoch": 1, "metrics": [1]}],
    "expected metrics beside epoch": [{"run": RUN}, {"epoch": 1}],
    "expected text beside line": [{"run": RUN}, {"line": 1}],
    "outputs: expected texts by name": [{"run": RUN}, {"outputs": {"a": 1}}],
    "end: status: expected a whole number or null": [{"run": RUN}, {"end": {"status": "x"}}],
    "run: expected the facts of a run": [{"run": []}],
    "run: command: expected a list of texts": [{"run": RUN | {"command": "rm"}}],
    "run: seed: expected a whole number from 0 to 4294967295": [{"run": RUN | {"seed": 10**30}}],
    "run: mode: expected strict, warn or off": [{"run": RUN | {"mode": ["strict"]}}],
    "run: threads: expected a whole number": [{"run": RUN | {"threads": float("nan")}}],
    "run: cpu: expected texts by name": [{"run": RUN | {"cpu": 1}}],
    "run: environment: expected texts by name": [{"run": RUN | {"environment": {"A": None}}}],
    "run: x: expected text, a number": [{"run": RUN | {"x": [[1]]}}],
    "expected a record": [DEEP],
    "expected a JSON object": [{"run": RUN}, "[1]"],
}


@pytest.mark.parametrize("said", LINES)
def test_a_line_of_a_record_that_is_not_as_it_should_be_is_named_with_its_key(seedbed, tmp_path, said: str) -> None:
    write(tmp_path / "r", *LINES[said])
    for arguments in (("compare", "r", "r"), ("replay", "r")):
        done = seedbed(*arguments)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (2, "")
        assert line.startswith(f"seedbed: {arguments[0]}: r/rank0.jsonl") and said in line


@pytest.mark.parametrize("content", [b"PK\x03\x04\xff\xfe checkpoint\n", b"\x00" * 100 + b"\n", b"\xff\n"])
def test_bytes_that_are_no_text_are_no_record(seedbed, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    done = seedbed("compare", "model.pt", "model.pt")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "model.pt: expected a record of JSON lines" in line


@pytest.mark.parametrize("key", ["command", "folder", "seed", "gpus", "image", "environment", "data"])
def test_replay_names_the_fact_that_is_missing(seedbed, tmp_path: Path, key: str) -> None:
    write(tmp_path / "r", {"run": {name: value for name, value in RUN.items() if name != key}}, STEP)
    done = seedbed("replay", "r")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith("seedbed: replay: r") and (key in line or "image" in line)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"folder": "/a:/etc"}, "folder: expected an absolute path without a colon"),
        ({"folder": "--privileged"}, "folder: expected an absolute path without a colon"),
        ({"image": {"name": "x --privileged y", "tag": "1", "lock": "1" * 12}}, "image: expected name, tag and lock"),
        ({"image": {"name": "pytorch"}}, "image: expected name, tag and lock"),
    ],
)
def test_replay_refuses_a_folder_or_an_image_that_means_something_else(tmp_path: Path, change, said: str) -> None:
    found = record.read(write(tmp_path / "r", {"run": RUN | change}, STEP))
    with pytest.raises(ValueError, match=said):
        replay.docker_run(found)


@pytest.mark.parametrize(
    ("word", "shown"), [("a\udcff", "$'a\\377'"), ("a\ud800", "$'a\\355\\240\\200'")], ids=["a byte", "half"]
)
def test_what_is_no_text_is_shown_by_its_bytes(word, shown):
    """A byte that is not UTF-8 stands in an argument as half a surrogate pair; JSON can hold the other half as well."""
    assert replay.quoted(word) == shown


def test_the_command_that_replay_prints_has_no_control_characters_and_is_the_same_to_a_shell(tmp_path: Path) -> None:
    words = ["a\x1b]0;title\x07", "line\nbreak", "it's \\ $HOME", "\u202eevil", "é", "\udcff", "", "a b", "`id`"]
    found = record.read(write(tmp_path / "r", {"run": RUN | {"command": words}}, STEP))
    line = replay.as_shell(replay.docker_run(found))
    assert line.isprintable()
    shown = subprocess.run(["bash", "-c", f"docker() {{ printf '%s\\0' \"$@\"; }}; {line}"], stdout=subprocess.PIPE)
    assert [os.fsdecode(word) for word in shown.stdout.split(b"\0")[-len(words) - 1 : -1]] == words


def test_a_source_that_is_no_file_has_no_fingerprint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert {facts.fingerprint(path) for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path / "none")} == {
        "missing"
    }


@pytest.mark.parametrize("head", ["ref: ../../secret", "secret", "\xff\xfe", "ref: refs/heads/main"])
def test_a_commit_is_a_hash_and_nothing_else_of_what_a_repository_names(tmp_path: Path, head: str) -> None:
    (tmp_path / "secret").write_text("password")
    (tmp_path / "a" / ".git").mkdir(parents=True)
    (tmp_path / "a" / ".git" / "HEAD").write_bytes(head.encode("latin-1") + b"\n")
    os.mkfifo(tmp_path / "a" / ".git" / "packed-refs")
    assert facts.commit(tmp_path / "a") is None


WRONG_GOLDEN = [
    b"[1]",
    b"\xff",
    b"[" * 100_000,
    b"1" * 5000,
    b'{"a": {"b": null}}',
    json.dumps({"a": {"b": dict.fromkeys(golden.Golden.__dataclass_fields__, 1)}}).encode(),
]


@pytest.mark.parametrize("content", WRONG_GOLDEN, ids=range(len(WRONG_GOLDEN)))
def test_a_golden_file_that_is_none_is_named_before_anything_runs(seedbed, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "golden.json").write_bytes(content)
    done = seedbed("golden", "golden.json", "--", "touch", "ran")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "golden.json: expected golden fingerprints" in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"name": 5}', b'{"name": "../x"}'])
def test_a_description_of_a_sweep_that_is_none_is_named(seedbed, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_bytes(content)
    done = seedbed("sweep", "--", "touch", "ran")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "sweep/sweep.json: expected the description of a sweep" in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["sweep.json", ".lock-another-sweep"])
def test_a_fifo_or_a_link_in_the_folder_of_a_sweep_is_refused(seedbed, tmp_path: Path, name: str) -> None:
    (tmp_path / "sweep").mkdir()
    if name.startswith("."):
        (tmp_path / "sweep" / name).symlink_to(tmp_path / "made-through-the-link")
    else:
        os.mkfifo(tmp_path / "sweep" / name)
    done = seedbed("sweep", "--", "true")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert not (tmp_path / "made-through-the-link").exists()


def test_a_folder_that_takes_no_new_file_is_found_before_a_sweep_runs(tmp_path: Path, monkeypatch) -> None:
    plan = Plan(("touch", str(tmp_path / "ran")), (1,), tmp_path / "sweep")
    plan.folder.mkdir()
    runs.described(plan)

    def write(path: Path, _: bytes) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(files, "write", write)
    with pytest.raises(OSError, match="Read-only"):
        runs.sweep(plan)
    assert not (tmp_path / "ran").exists()


def test_a_write_follows_no_link_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "golden.json").symlink_to(victim)
    (tmp_path / "golden.json.partial").symlink_to(victim)  # the name that it once had before the end
    files.write(tmp_path / "golden.json", b"new")
    assert (victim.read_text(), (tmp_path / "golden.json").read_text()) == ("mine", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"victim", "golden.json", "golden.json.partial"}


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch) -> None:
    files.write(tmp_path / "a", b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match=r"No space left on device: '.*/a'"):
        files.write(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_a_killed_write_left_is_removed_a_day_later(tmp_path: Path) -> None:
    left, fresh = tmp_path / ".seedbed-a.partial", tmp_path / ".seedbed-b.partial"
    for path in (left, fresh):
        path.touch()
    os.utime(left, (0, 0))
    files.write(tmp_path / "a", b"")
    assert (left.exists(), fresh.exists()) == (False, True)


def from_file(tmp_path: Path, name: str, text: str) -> list[float]:
    (tmp_path / name).write_text(text)
    return metric.curve(Metric("acc", file=name), Record(tmp_path, {}, ()), tmp_path / name)


@pytest.mark.parametrize("name, text", [("m.json", f'{{"acc": {"9" * 5000}}}'), ("m.csv", f"acc\n{'9' * 5000}\n")])
def test_a_number_larger_than_any_float_is_infinite(tmp_path: Path, name: str, text: str) -> None:
    assert from_file(tmp_path, name, text) == [float("inf")]


@pytest.mark.parametrize("text", ['{"acc": ' + "[" * 900 + "]" * 900 + "}", "[" * 900 + "]" * 900, "[" * 100_000])
def test_a_document_that_is_nested_too_deeply_has_no_metric(tmp_path: Path, text: str) -> None:
    with pytest.raises(Missing, match=r"m\.json"):
        from_file(tmp_path, "m.json", text)


def test_an_empty_group_of_a_pattern_is_no_number() -> None:
    run = Record(Path(), {}, (), output=("loss 1",))
    with pytest.raises(Missing, match="expected a number in its first group"):
        metric.curve(Metric("loss", pattern="(x)?loss"), run)


HUGE = (1.7e308, -1.7e308, 1e308, float("inf"), float("nan"), 5e-324, 0.0, 1.0)


@pytest.mark.parametrize("first", HUGE)
@pytest.mark.parametrize("second", HUGE)
def test_a_sweep_of_huge_and_tiny_metrics_has_its_files(first: float, second: float) -> None:
    for curves in ({1: [first], 2: [second]}, {1: [first, second], 2: [second, first], 3: [1.0]}):
        found = [summary.summary("loss", curves)]
        description = {"command": ["a\udcff"], "mode": "strict"}
        assert summary.as_text(found) and summary.as_csv(found) and summary.as_json(found, description)
        assert "nan" not in page.page(found, description).partition("<table>")[0].partition("<svg")[2]
        assert figure.figure("loss", curves)


def test_a_record_of_whatever_is_allowed_is_read(tmp_path: Path) -> None:
    found = record.read(write(tmp_path / "r", {"run": RUN}, STEP | {"norm": "inf", "loss": ["nan", "-inf"]}))
    assert found.ranks == (Rank(0, RUN, (Step(1, found.steps[0].values, found.steps[0].losses),), (), False),)


def test_a_long_line_is_soon_searched_for_names() -> None:
    """Control: it took a time that grows with the square of the length, minutes for this one."""
    assert metric.NAMED_NUMBER.findall("x" * 200_000 + " loss=1") == [("loss", "1")]
