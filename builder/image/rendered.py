"""Files that are pure text, rendered from templates and the catalog, committed, and checked in CI."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder import files, paths, reading
from builder.reading import shown


def template(name: str, facts: Mapping[str, object]) -> str:
    """The text that the template makes of the facts. An unknown name is an error, blocks leave no lines behind."""
    jinja = Environment(
        loader=FileSystemLoader(paths.TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    jinja.filters["quoted"] = quoted
    jinja.filters["octal"] = "{:04o}".format
    jinja.filters["exec_form"] = json.dumps
    return jinja.get_template(name).render(facts)


def quoted(value: str) -> str:
    """The value between double quotes, as ENV and LABEL read it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def committed(path: Path) -> str:
    """The file as it is; empty where there is none."""
    return reading.text(path) if path.exists() else ""


def write(path: Path, text: str) -> bool:
    """Make the file say so; it is deleted if the text is empty. True if that changed anything."""
    if committed(path) == text:
        return False
    if text:
        files.write(path, text)
    else:
        path.unlink()
    return True


def difference(path: Path, text: str) -> str:
    """What `write` would change, as a unified diff; empty if nothing."""
    texts = (each.splitlines(keepends=True) for each in (committed(path), text))
    return "".join(difflib.unified_diff(*texts, f"{shown(path)} (committed)", f"{shown(path)} (rendered)"))
