"""Dockerfiles: pure text, rendered from an image's models and locks, committed, and checked in CI."""

import difflib
import json
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder import files, paths, reading
from builder.catalog.models import Image
from builder.errors import SeedbedError
from builder.image import contents
from builder.image.recipe import Recipe
from builder.reading import shown

TEMPLATE = "Dockerfile.j2"


@dataclass(frozen=True)
class Rendered:
    """An image's Dockerfile as it should be."""

    image: Image
    text: str

    def write(self) -> bool:
        """Put the text in place; True where that changed the file."""
        if committed(self.image) == self.text:
            return False
        files.write(self.image.dockerfile_path, self.text)
        return True

    def diff(self) -> str:
        """What a render would change in the committed file, as a unified diff; empty where nothing."""
        name = str(shown(self.image.dockerfile_path))
        before, after = committed(self.image).splitlines(keepends=True), self.text.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, f"{name} (committed)", f"{name} (rendered)"))


def committed(image: Image) -> str:
    """The Dockerfile as it is; empty where there is none."""
    return reading.text(image.dockerfile_path) if image.dockerfile_path.exists() else ""


def render(recipe: Recipe) -> Rendered:
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
    return Rendered(recipe.image, environment().get_template(TEMPLATE).render(facts))


def check(recipe: Recipe) -> None:
    """Raise SeedbedError if the committed Dockerfile is not the one that the recipe makes."""
    if render(recipe).diff():
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
