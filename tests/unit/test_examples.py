"""The examples train, repeat only where something outside seeds them, and leave exact records."""

import ast
import csv
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from builder.paths import EXAMPLES

SCRIPTS = sorted(EXAMPLES.glob("*.py"))
SEEDED = """
import random, runpy, sys
import numpy as np
seed, folder = int(sys.argv.pop(1)), sys.argv.pop(1)
stream = random.Random(seed)
np.random.seed(seed)
np.random.bit_generator.randbits = stream.getrandbits
sys.path.insert(0, folder)
runpy.run_path(f"{folder}/digits_numpy.py", run_name="__main__")
"""


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def python(*arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)


def trained(*arguments: object, cwd: Path) -> str:
    """The sha256 over the parameters that digits_numpy.py prints after one epoch."""
    done = python(*arguments, "--epochs", "1", cwd=cwd)
    assert done.returncode == 0, done.stderr
    (digest,) = re.findall(r"^parameters sha256: ([0-9a-f]{64})$", done.stdout, re.MULTILINE)
    return digest


def test_the_digits_are_the_file_that_the_readme_names():
    found = hashlib.sha256((EXAMPLES / "digits.csv.gz").read_bytes()).hexdigest()
    assert f"sha256  {found}" in (EXAMPLES / "README.md").read_text()


def test_every_digit_is_either_for_training_or_for_the_test():
    digits = loaded("digits")
    training, test = digits.load()
    assert (len(training), len(test)) == (1437, 360)
    table = np.loadtxt(EXAMPLES / "digits.csv.gz", delimiter=",")
    pixels = np.concatenate([training.images, test.images]).reshape(-1, 64) * 16
    assert np.array_equal(pixels, table[:, :64])
    assert np.array_equal(np.concatenate([training.labels, test.labels]), table[:, 64])


def test_pixels_and_labels_are_of_the_stated_kind():
    for part in loaded("digits").load():
        assert part.images.dtype == np.float32 and part.images.shape[1:] == (8, 8)
        assert part.images.min() == 0 and part.images.max() == 1
        assert set(part.labels.tolist()) == set(range(10))


def seedings(source: str) -> list[str]:
    """What in a script's code fixes a random generator: names with `seed` in them, and generators given a number."""
    found = []
    for node in ast.walk(ast.parse(source)):
        named = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "arg", None) or ""
        if "seed" in str(named).lower():
            found.append(named)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith(("_rng", "Random", "State")):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_example_seeds_anything(script):
    assert seedings(script.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "random.seed(1)",
        "torch.manual_seed(1)",
        "dataset.shuffle(100, seed=1)",
        "keras.utils.set_random_seed(1)",
        "generator = np.random.default_rng(1)",
        "SEED = 1",
    ],
)
def test_a_line_that_seeds_would_be_found(line):
    assert seedings(line)


def test_training_never_repeats_by_itself(tmp_path):
    assert trained(EXAMPLES / "digits_numpy.py", cwd=tmp_path) != trained(EXAMPLES / "digits_numpy.py", cwd=tmp_path)


def test_training_repeats_when_seeded_from_outside(tmp_path):
    first, again, other = (trained("-c", SEEDED, seed, EXAMPLES, cwd=tmp_path) for seed in (1, 1, 2))
    assert first == again != other


def test_training_tells_the_digits_apart_and_records_it_exactly(tmp_path):
    done = python(EXAMPLES / "digits_numpy.py", "--epochs", "3", "--output", "deep/down", cwd=tmp_path)
    result = json.loads((tmp_path / "deep/down/result.json").read_text())
    with (tmp_path / "deep/down/metrics.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    assert done.stdout.endswith(f"parameters sha256: {result.pop('parameters_sha256')}\n")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1] == result
    assert rows[-1]["accuracy"] > 0.8 > rows[-1]["loss"]


def test_without_an_output_folder_nothing_is_written(tmp_path):
    trained(EXAMPLES / "digits_numpy.py", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_training_under_way_shows_its_epochs_but_no_result(tmp_path):
    record = loaded("record")
    (tmp_path / "result.json").write_text("of an earlier training")
    record.Record(tmp_path).epoch(loss=0.1 + 0.2, accuracy=np.float32(0.1))
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
    assert (tmp_path / "metrics.csv").read_text() == f"epoch,loss,accuracy\n1,{0.1 + 0.2},{float(np.float32(0.1))}\n"


def test_one_changed_bit_changes_the_digest():
    record = loaded("record")
    parameters = [np.ones(3), np.zeros((2, 2), np.float32)]
    before = record.sha256(parameters)
    assert before == record.sha256([array.copy() for array in parameters])
    parameters[1][1, 1] = np.nextafter(np.float32(0), np.float32(1))
    assert before != record.sha256(parameters)


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    done = python(EXAMPLES / "digits_numpy.py", "--output", "file/inside", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "cannot write to file/inside: Not a directory; name a folder you own with --output\n"


@pytest.mark.parametrize("epochs", ["0", "-1", "1.5", "many"])
def test_epochs_that_are_no_count_are_refused(epochs, tmp_path):
    done = python(EXAMPLES / "digits_numpy.py", f"--epochs={epochs}", cwd=tmp_path)
    assert done.returncode == 2
    assert f"expected a whole number of 1 or more, found '{epochs}'" in done.stderr
