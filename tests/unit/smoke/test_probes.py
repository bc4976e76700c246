"""The scripts that smoke tests run inside an image, run here: a command that cannot start is found and named."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths

COMMANDS = paths.ROOT / "builder" / "smoke" / "probes" / "commands.py"


@pytest.fixture
def probe(tmp_path: Path):
    """Run the probe on a folder with these console scripts."""

    def probe(**scripts: str) -> subprocess.CompletedProcess:
        for name, code in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!{sys.executable}\n{code}\n")
            path.chmod(0o755)
        (tmp_path / "python").symlink_to(sys.executable)
        return subprocess.run([sys.executable, COMMANDS, tmp_path], capture_output=True, text=True, check=False)

    return probe


def test_commands_that_start_pass(probe) -> None:
    done = probe(one="import sys; print(sys.argv)", two="raise SystemExit(0)")
    assert (done.returncode, done.stdout) == (0, "2 commands start\n")


def test_a_command_that_lacks_a_package_is_named_with_its_last_words(probe) -> None:
    done = probe(one="", two="import nonesuch_package")
    assert done.returncode == 1
    assert done.stderr == "two: ModuleNotFoundError: No module named 'nonesuch_package'\n"


def test_a_command_that_is_called_wrongly_is_named(probe) -> None:
    assert "main() missing 1 required" in probe(one="def main(_): pass\nmain()").stderr


def test_a_folder_without_commands_proves_nothing(probe) -> None:
    assert probe().returncode == 1
