"""Orders that no seed fixes, as people have reported them: audit and trace name the line."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent / "field" / "pytorch"
MARK = "# the line to name"


def place(script: str) -> str:
    """The marked line, as reports name it."""
    lines = (HERE / script).read_text().splitlines()
    return f"/field/{script}:{next(number for number, line in enumerate(lines, start=1) if MARK in line)}"


@pytest.mark.parametrize("script", ["set_of_layers.py", "sum_under_lock.py"])
def test_audit_names_the_line(field, script: str) -> None:
    done = field("pytorch").run(["seedbed", "run", "--audit", "--", "python", f"/field/{script}"])
    assert done.status == 0, done.stderr
    assert f"  {place(script)}  " in done.stderr


def test_trace_names_the_line_of_a_set_of_layers(field) -> None:
    """pelita#703, TLOmodel#742. Two runs with other addresses differ: that is what is traced."""
    done = field("pytorch").run(["seedbed", "trace", "-n", "6", "--", "python", "/field/set_of_layers.py"])
    assert done.status == 1, done.stdout + done.stderr
    assert f"{place('set_of_layers.py')}  loops over a set" in done.stdout
