"""Scratch folders: gone at the end, whatever the end was, and never taken from those that use them."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths, scratch


def left(cache: Path) -> list[str]:
    return [path.name for path in (cache / scratch.NAME).iterdir()]


def test_a_folder_is_gone_at_the_end_of_the_block_even_by_an_error(tmp_path):
    with pytest.raises(RuntimeError), scratch.folder(tmp_path) as folder:
        (folder / "half of it").touch()
        raise RuntimeError
    assert left(tmp_path) == []


def test_a_folder_in_use_is_nobody_elses(tmp_path):
    with scratch.folder(tmp_path) as first, scratch.folder(tmp_path) as second:
        (first / "file").touch()
        assert first != second
        with scratch.folder(tmp_path):
            assert (first / "file").exists()


def test_what_a_killed_process_left_goes_with_the_next(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=paths.ROOT, check=False)
    assert killed.returncode == -9
    [found] = left(tmp_path)
    with scratch.folder(tmp_path) as folder:
        assert left(tmp_path) == [folder.name] != [found]


KILLED = """
import os, signal, sys
from pathlib import Path
from builder import scratch
with scratch.folder(Path(sys.argv[1])) as folder:
    (folder / "half of it").write_bytes(bytes(1 << 20))
    os.kill(os.getpid(), signal.SIGKILL)
"""
