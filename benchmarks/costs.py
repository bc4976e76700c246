"""Prints what was measured inside an image. Standard library only."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any


def show(costs: Sequence[Any], *, as_json: bool) -> None:
    """A line for each of these, which are of one dataclass, under the names of its fields; or all of them as JSON."""
    rows = [asdict(cost) for cost in costs]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
