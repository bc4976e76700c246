"""The Dockerfile of an image: its whole recipe, for people and for BuildKit."""

from builder import paths
from builder.errors import SeedbedError
from builder.image import contents, rendered
from builder.image.recipe import Recipe
from builder.reading import shown


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
    return rendered.template("Dockerfile.j2", facts)


def check(recipe: Recipe) -> None:
    """Raise SeedbedError if the committed Dockerfile is not the one that the recipe makes."""
    path = recipe.image.dockerfile_path
    if rendered.committed(path) != render(recipe):
        raise SeedbedError(f"{shown(path)}: out of date; run ./build.py render {recipe.name}")


def pinned_tool(name: str) -> str:
    """A tool of Seedbed's own, as requirements.lock pins it: the requirement with all its hashes."""
    lines = paths.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    length = next(count for count, line in enumerate(lines[first:], start=1) if not line.endswith("\\"))
    return "\n".join(lines[first : first + length])
