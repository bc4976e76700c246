"""`seedbed golden`: a training against the bits that were recorded on machines of its kind; `run --portable`."""

import json
from pathlib import Path

import pytest
from seedbed import golden
from seedbed.recording.record import Rank, Record, Step
from seedbed.settings import PORTABLE

FACTS = {
    "command": ["python", "train.py", "--name", "a b"],
    "seed": 42,
    "mode": "strict",
    "image": {"name": "pytorch", "tag": "2.7.1", "lock": "sha256:" + "1" * 64},
    "cpu": {"model": "EPYC 1", "vendor": "AuthenticAMD", "instructions": ["avx", "avx2"]},
    "gpus": [],
    "threads": 4,
}
BUMPED = {"name": "pytorch", "tag": "2.8.0", "lock": "sha256:" + "2" * 64}


def recorded(first: str = "0x1p+1", last: str = "0x1p+0", parameters: str = "p" * 32, **facts: object) -> Record:
    """Two steps of training, with facts of its own."""
    steps = (Step(1, {"loss": first}), Step(2, {"loss": last, "parameters": parameters}))
    return Record(Path("record"), FACTS | facts, (Rank(0, {}, steps, (), True),), status=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """With the training's bits on one kind of machine."""
    golden.write(tmp_path / "golden.json", recorded())
    return tmp_path / "golden.json"


def test_a_golden_fingerprint_holds(file: Path) -> None:
    answer = golden.check(file, recorded())
    assert answer.holds is True
    assert answer.text == (
        "equals the golden fingerprint of AuthenticAMD avx avx2, threads 4: 2 steps, loss 0x1p+0 "
        "(lock 111111111111; EPYC 1)"
    )


@pytest.mark.parametrize(
    "change, shown",
    [
        ({"last": "0x1.0000000000001p+0"}, "loss 0x1p+0 is now 0x1.0000000000001p+0; losses "),
        ({"first": "0x1.0000000000001p+1"}, ": losses "),
        ({"parameters": "q" * 32}, ": parameters pppppppppppp is now qqqqqqqqqqqq"),
        ({"seed": 7}, ": seed 42 is now 7"),
        ({"mode": "warn"}, ": mode strict is now warn"),
    ],
)
def test_one_changed_bit_fails_and_is_shown(file: Path, change: dict, shown: str) -> None:
    answer = golden.check(file, recorded(**change))
    assert answer.holds is False
    assert shown in answer.text


@pytest.mark.parametrize("field", ["loss", "losses", "parameters", "steps"])
def test_a_tampered_file_fails(file: Path, field: str) -> None:
    document = json.loads(file.read_text())
    ((found,),) = (of.values() for of in document.values())
    found[field] = found[field] + 1 if field == "steps" else found[field].translate(str.maketrans("01p", "10q"))
    file.write_text(json.dumps(document))
    assert golden.check(file, recorded()).holds is False


@pytest.mark.parametrize(
    "fact",
    [
        {"threads": 8},
        {"gpus": ["NVIDIA H100"]},
        {"cpu": FACTS["cpu"] | {"vendor": "GenuineIntel"}},
        {"cpu": FACTS["cpu"] | {"instructions": ["avx"]}},
        {"command": ["python", "other.py"]},
    ],
)
def test_nothing_is_known_of_another_kind_of_machine_or_command(file: Path, fact: dict) -> None:
    answer = golden.check(file, recorded("0x1p+7", **fact))
    assert answer.holds is None
    assert f"to record it: seedbed golden --record {file} -- python " in answer.text


def test_the_command_that_records_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "my golden.json"
    assert f"seedbed golden --record '{file}' -- python train.py --name 'a b'" in golden.check(file, recorded()).text


def test_another_machine_of_the_same_kind_is_named_where_the_bits_differ(file: Path) -> None:
    other = FACTS["cpu"] | {"model": "EPYC 2"}
    assert golden.check(file, recorded(cpu=other)).holds is True
    assert "; EPYC 1, now EPYC 2)" in golden.check(file, recorded("0x1p+7", cpu=other)).text


def test_a_lock_that_changes_numbers_is_told_from_one_that_does_not(file: Path) -> None:
    same, other = golden.check(file, recorded(image=BUMPED)), golden.check(file, recorded("0x1p+7", image=BUMPED))
    assert (same.holds, other.holds) == (True, False)
    for answer in (same, other):
        assert "lock 111111111111, now 222222222222;" in answer.text


def test_a_new_lock_shows_as_few_changed_lines(file: Path) -> None:
    golden.write(file, recorded(threads=8))
    before = file.read_text().splitlines()
    golden.write(file, recorded("0x1p+7", image=BUMPED))
    after = file.read_text().splitlines()
    changed = [old.split(":")[0].strip() for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ['"lock"', '"losses"']


def test_what_is_known_of_other_machines_and_commands_is_kept(file: Path) -> None:
    golden.write(file, recorded(threads=8))
    golden.write(file, recorded(command=["python", "other.py"]))
    assert [len(of) for of in golden.read(file).values()] == [1, 2]
    before = file.read_bytes()
    golden.write(file, recorded())
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"b": {"c": 1}}}'])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "golden.json").write_text(text)
    with pytest.raises(ValueError, match=r"golden\.json: expected golden fingerprints"):
        golden.check(tmp_path / "golden.json", recorded())


TRAINING = """
from seedbed.recording.writer import writer
writer.step(lambda: {"loss": ["0x1p+0"]})
"""  # a step as torch or Keras would take it


@pytest.fixture
def check(seedbed, tmp_path: Path):
    """`seedbed golden` of a script."""

    def check(code: str, *options: str, **variables: str):
        (tmp_path / "train.py").write_text(code)
        return seedbed("golden", *options, "golden.json", "--", "python", "train.py", **variables)

    return check


def test_recorded_once_the_bits_are_checked_from_then_on(check) -> None:
    unknown = check(TRAINING)
    assert unknown.returncode == 77
    assert "to record it: seedbed golden --record golden.json -- python train.py" in unknown.stdout
    assert [check(TRAINING, "--record").returncode, check(TRAINING).returncode] == [0, 0]
    changed = check(TRAINING.replace("0x1p+0", "0x1p+1"))
    assert (changed.returncode, "loss 0x1p+0 is now 0x1p+1" in changed.stdout) == (1, True)


def test_recorded_anew_it_says_what_changed(check) -> None:
    first, same = (check(TRAINING, "--record").stdout for _ in range(2))
    assert first == same
    assert first.startswith("recorded as the golden fingerprint of ")
    assert first.endswith(": 1 steps, loss 0x1p+0\n")
    other = check(TRAINING.replace("0x1p+0", "0x1p+1"), "--record")
    assert (other.returncode, "loss 0x1p+1 (lock none; " in other.stdout) == (0, True)
    assert "): loss 0x1p+0 is now 0x1p+1; losses " in other.stdout


@pytest.mark.parametrize(
    "code, message",
    [
        ("print(1)", "golden: the command took no training step with torch or Keras"),
        (TRAINING + "raise SystemExit('no data')", "golden: the command ended with status 1 and said: no data"),
    ],
)
def test_what_cannot_be_golden_is_not_recorded(check, tmp_path: Path, code: str, message: str) -> None:
    done = check(code, "--record")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"seedbed: {message}" in done.stderr
    assert not (tmp_path / "golden.json").exists()


def test_a_file_that_cannot_be_written_is_one_line(seedbed, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINING)
    done = seedbed("golden", "--record", "nowhere/golden.json", "--", "python", "train.py")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "seedbed: golden: nowhere/golden.json: No such file or directory"


def test_a_portable_run_is_one_whatever_the_environment_says(seedbed) -> None:
    def variables(*options: str) -> dict[str, str]:
        done = seedbed("run", *options, "--", "env", OMP_NUM_THREADS="8", ATEN_CPU_CAPABILITY="avx512")
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    assert PORTABLE.items() <= variables("--portable").items()
    assert not PORTABLE.items() & variables().items()


def test_the_docs_list_what_a_portable_run_sets() -> None:
    page = (Path(__file__).parents[3] / "docs/golden.md").read_text()
    for name, value in PORTABLE.items():
        assert f"`{name}={value}`" in page
