"""A name outlives the process that has it in no case: what belongs to it can then be ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder import leases

HOLD = (
    "import sys; from pathlib import Path; from builder.leases import lease\nwith lease(Path(sys.argv[1])) as name:\n"
)


def left_by(home: Path) -> list[str]:
    found: list[str] = []
    leases.settle(home, found.append)
    return found


def test_a_name_is_nobodys_only_once_its_process_was_killed(tmp_path):
    code = f"{HOLD}    print(name, flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and (name := holder.stdout.readline().strip())
    assert left_by(tmp_path) == []
    holder.kill()
    holder.communicate()
    assert left_by(tmp_path) == [name]
    assert left_by(tmp_path) == [] and list(tmp_path.iterdir()) == []


def test_a_name_is_forgotten_when_its_block_ends(tmp_path):
    with leases.lease(tmp_path) as first, leases.lease(tmp_path) as second:
        assert first != second
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_ended_is_left_to_the_next_run(tmp_path):
    with pytest.raises(RuntimeError), leases.lease(tmp_path) as name:
        raise RuntimeError

    def refuse(name: str) -> None:
        raise ConnectionError

    leases.settle(tmp_path, refuse)
    assert left_by(tmp_path) == [name]


def test_other_files_in_the_folder_do_no_harm(tmp_path):
    (tmp_path / "file").touch()
    assert left_by(tmp_path) == [] and left_by(tmp_path / "missing") == []
