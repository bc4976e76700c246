"""Rooms know only what lies below them, in the builder and in the runtime, and the linter that says so can tell."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths

ROOMS = ("catalog", "cli", "debian", "engine", "image", "layers", "lock", "oci", "publish", "reproduce", "smoke")


def linted(root: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of both packages in `root`, by the contracts of its pyproject.toml, as in `make lint`."""
    command = [Path(sys.prefix, "bin", "lint-imports"), "--no-cache", "../pyproject.toml"]
    environ = os.environ | {"PYTHONPATH": ".."}
    return subprocess.run(command, cwd=root / "runtime", env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of both packages and of the contracts."""
    for package in ("builder", "runtime/seedbed"):
        shutil.copytree(paths.ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(paths.ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(root: Path, module: str, statement: str) -> None:
    path = root / module
    path.write_text(f"{path.read_text()}\n\n{statement}\n")


def test_both_packages_import_in_the_direction_of_their_rooms():
    checked = linted(paths.ROOT)
    assert checked.returncode == 0, checked.stdout
    assert "4 kept, 0 broken" in checked.stdout


def test_control_a_copy_is_linted_as_they_are(copied):
    assert linted(copied).returncode == 0


@pytest.mark.parametrize(
    ("module", "statement", "broken"),
    [
        (
            "builder/oci/tar.py",
            "from builder.cli.main import seedbed",
            "builder.oci is not allowed to import builder.cli",
        ),
        (
            "builder/oci/tar.py",
            "def late():\n    import builder.image.build",
            "builder.oci is not allowed to import builder.im",
        ),
        (
            "builder/debian/archive.py",
            "import builder.catalog.models",
            "builder.debian is not allowed to import builder.catal",
        ),
        (
            "builder/engine/client.py",
            "import builder.lock.packages",
            "builder.engine is not allowed to import builder.lock",
        ),
        (
            "builder/lock/packages.py",
            "import builder.layers.base",
            "builder.lock is not allowed to import builder.layers",
        ),
        (
            "builder/image/build.py",
            "import builder.smoke.smoke",
            "builder.image is not allowed to import builder.smoke",
        ),
        (
            "builder/smoke/smoke.py",
            "import builder.publish.push",
            "builder.smoke is not allowed to import builder.publish",
        ),
        ("builder/files.py", "import builder.oci.store", "builder.files is not allowed to import builder.oci"),
        ("runtime/seedbed/boot.py", "from seedbed import trace", "seedbed.boot is not allowed to import seedbed.trace"),
        (
            "runtime/seedbed/libraries/numpy.py",
            "import seedbed.boot",
            "seedbed.libraries is not allowed to import seed",
        ),
        (
            "runtime/seedbed/lineage.py",
            "import seedbed.process",
            "seedbed.lineage is not allowed to import seedbed.pro",
        ),
        ("runtime/seedbed/observe/lines.py", "import seedbed.recording", "seedbed.observe is not allowed to import se"),
        (
            "runtime/seedbed/recording/record.py",
            "def late():\n    from seedbed import verify",
            "seedbed.recording is not allowed to import seedbed.verify",
        ),
        ("runtime/seedbed/trace/run.py", "import seedbed.trace.search", "No circle in the runtime BROKEN"),
        ("runtime/seedbed/files.py", "import builder.files", "seedbed is not allowed to import builder"),
    ],
)
def test_an_import_against_the_direction_is_found_and_named(copied, module, statement, broken):
    plant(copied, module, statement)
    checked = linted(copied)
    assert checked.returncode != 0
    assert broken in " ".join(checked.stdout.split())


@pytest.mark.parametrize("package", ["builder", "runtime/seedbed"])
def test_a_room_that_the_contract_does_not_name_is_found(copied, package):
    (copied / package / "attic").mkdir()
    (copied / package / "attic" / "__init__.py").touch()
    checked = linted(copied)
    assert checked.returncode != 0 and "attic" in checked.stdout


def test_the_tests_stand_in_the_rooms_of_what_they_test():
    """And every room has some."""
    rooms = {path.parent.name for path in (paths.ROOT / "tests" / "unit").glob("*/test_*.py")} - {"runtime"}
    assert {path.parent.name for path in paths.ROOT.glob("builder/*/__init__.py")} == set(ROOMS)
    assert rooms <= set(ROOMS)
    assert set(ROOMS) - rooms <= {"publish"}, "tests/unit/oci/test_registry.py has its tests"


def test_no_module_has_a_log_parameter_or_prints_its_log():
    """Each has a logger of its own."""
    found = [
        f"{path.relative_to(paths.ROOT)}: {match[0]}"
        for path in sorted(paths.ROOT.glob("builder/**/*.py"))
        for match in re.finditer(r"\blog: (Callable|Log)\b|console\.log\(", path.read_text())
    ]
    assert found == []


def test_every_file_of_the_builder_is_short_enough_to_be_read_at_a_sitting():
    lengths = {path: len(path.read_text().splitlines()) for path in paths.ROOT.glob("builder/**/*.py")}
    assert {path.relative_to(paths.ROOT): length for path, length in lengths.items() if length > 300} == {}


def test_every_file_of_the_runtime_is_short_but_tables_and_what_reads_sources():
    lengths = {path: len(path.read_text().splitlines()) for path in paths.ROOT.glob("runtime/seedbed/**/*.py")}
    long = {
        str(path.relative_to(paths.ROOT / "runtime" / "seedbed")) for path, length in lengths.items() if length > 300
    }
    assert long <= {"settings.py", "lint.py", "bindings.py"}
