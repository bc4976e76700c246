"""Dockerfiles: pure text, rendered from an image's models and locks, committed, and checked in CI."""

import difflib
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder import files, paths, reading
from builder.catalog.models import Image
from builder.errors import SeedbedError
from builder.image import contents
from builder.image.recipe import Recipe
from builder.reading import shown

TEMPLATE = "Dockerfile.j2"


def committed(image: Image) -> str:
    """The Dockerfile as it is; empty where there is none."""
    return reading.text(image.dockerfile_path) if image.dockerfile_path.exists() else ""


def render(recipe: Recipe) -> str:
    """The Dockerfile that the recipe, the runtime's table and the templates make. Asks no network."""
    facts = {
        "image": recipe.image,
        "base": recipe.base,
        "packages": recipe.pins(),
        "installer": pinned_tool("uv"),
        "layers": recipe.layers,
        "contents": contents,
        "description": contents.description(recipe),
        "certificate_links": contents.certificate_links(recipe),
        "constraints": contents.constraints(recipe),
        "labels": contents.labels(recipe),
    }
    return environment().get_template(TEMPLATE).render(facts)


def write(recipe: Recipe) -> bool:
    """Put the Dockerfile in place; True if that changed the file."""
    rendered = render(recipe)
    if committed(recipe.image) == rendered:
        return False
    files.write(recipe.image.dockerfile_path, rendered)
    return True


def diff(recipe: Recipe) -> str:
    """What `write` would change in the committed file, as a unified diff; empty if nothing."""
    return difference(recipe.image.dockerfile_path, committed(recipe.image), render(recipe))


def difference(path: Path, before: str, after: str) -> str:
    """What is committed in the file against what renders, as a unified diff."""
    texts = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(*texts, f"{shown(path)} (committed)", f"{shown(path)} (rendered)"))


def check(recipe: Recipe) -> None:
    """Raise SeedbedError if the committed Dockerfile is not the one that the recipe makes."""
    if committed(recipe.image) != render(recipe):
        path = shown(recipe.image.dockerfile_path)
        raise SeedbedError(f"{path}: out of date; run ./build.py render {recipe.name}")


def environment() -> Environment:
    """Jinja as the templates expect it: an unknown name is an error, blocks leave no lines behind."""
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
    return jinja


def quoted(value: str) -> str:
    """The value between double quotes, as ENV and LABEL read it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def pinned_tool(name: str) -> str:
    """A tool of Seedbed's own, as requirements.lock pins it: the requirement with all its hashes."""
    lines = paths.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    length = next(count for count, line in enumerate(lines[first:], start=1) if not line.endswith("\\"))
    return "\n".join(lines[first : first + length])
