"""Pages about images: docs/images/NAME.md, and the table in README.md. Pure text from the catalog, like Dockerfiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import files, paths, reading
from builder.catalog.image import Image, LayerGroup
from builder.console import size
from builder.errors import SeedbedError, UsageError
from builder.image import contents, digest, dockerfile
from builder.image.recipe import Recipe, resolve_all
from builder.lock.requirements import Pin
from builder.reading import shown

PAGE, TABLE = "image.md.j2", "images.md.j2"
BEGIN, END = "<!-- table: images -->\n", "<!-- end -->\n"
DRIVERS = {"12": "525", "13": "580"}
"""The oldest driver for each major version of CUDA, whatever the minor one, on Linux.

https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
"""
WHEELS_NAMED = 6


@dataclass(frozen=True)
class Layer:
    """A row of a page: a layer of wheels, what is in it, and the other images that have the same layer."""

    name: str
    wheels: str
    shared_with: str


def folder() -> Path:
    return paths.ROOT / "docs" / "images"


def texts(root: Path) -> dict[Path, str]:
    """Each page and README.md as they have to be for the catalog in `root`; the page of an image that is gone is empty.

    Only the repository's own catalog has pages. Raises SeedbedError if README.md has no place for the table.
    """
    if root.resolve() != paths.IMAGES:
        return {}
    recipes = resolve_all(root, ())
    pages = dict.fromkeys(sorted(folder().glob("*.md")), "")
    pages |= {folder() / f"{recipe.name}.md": page(recipe, recipes) for recipe in recipes}
    return pages | {paths.ROOT / "README.md": readme(reading.text(paths.ROOT / "README.md"), recipes)}


def write(path: Path, text: str) -> bool:
    """Put the page in place; True if that changed it."""
    if committed(path) == text:
        return False
    if text:
        files.write(path, text)
    else:
        path.unlink()
    return True


def committed(path: Path) -> str:
    return reading.text(path) if path.exists() else ""


def page(recipe: Recipe, recipes: Sequence[Recipe]) -> str:
    """The page about one image; `recipes` are of all."""
    facts = {
        "base": recipe.base,
        "contents": contents,
        "driver": driver(recipe.image),
        "layers": list(layers(recipe, recipes)),
        "same_base": ", ".join(other.name for other in recipes if other.base == recipe.base and other is not recipe),
    }
    return template(PAGE, facts | row(recipe))


def readme(text: str, recipes: Sequence[Recipe]) -> str:
    """README.md with the table between its marks made anew."""
    return with_table(
        text, BEGIN, lambda _: template(TABLE, {"rows": [row(recipe) for recipe in recipes]}), "README.md"
    )


def with_table(text: str, begin: str, table: Callable[[str], str], file: str) -> str:
    """The text of the file with what stands between its marks replaced by what `table` makes of it."""
    before, found, rest = text.partition(begin)
    old, end, after = rest.partition(END)
    if not (found and end):
        raise SeedbedError(f"{file}: expected the lines {begin.strip()} and {END.strip()} around the table")
    return f"{before}{begin}{table(old)}{END}{after}"


def row(recipe: Recipe) -> dict[str, object]:
    """What the table has of an image, and its page too."""
    image, sizes = recipe.image, digest.sizes(recipe)
    return {
        "image": image,
        "reference": f"seedbed/{image.name}:{image.full_tag}",
        "versions": ", ".join(f"{name} {version}" for name, version in image.versions.items()),
        "pull": size(sizes.compressed) if sizes else "",
        "unpacked": size(sizes.unpacked) if sizes else "",
    }


def driver(image: Image) -> str:
    """The oldest driver that the image's CUDA runs with; empty without CUDA."""
    if image.cuda is None:
        return ""
    major = image.cuda.partition(".")[0]
    if major not in DRIVERS:
        raise UsageError(
            f"{image.where('cuda')}: no driver is known for CUDA {major}; add it to DRIVERS in {shown(Path(__file__))}"
        )
    return DRIVERS[major]


def layers(recipe: Recipe, recipes: Sequence[Recipe]) -> Iterator[Layer]:
    """The image's layers of wheels, bottom first."""
    for group, wheels in recipe.layers:
        named = [f"{wheel.name} {wheel.version}" for wheel in wheels[:WHEELS_NAMED]]
        more = [f"{len(wheels) - WHEELS_NAMED} more"] if len(wheels) > WHEELS_NAMED else []
        others = (other.name for other in recipes if other is not recipe and has(other, group, wheels))
        yield Layer(group.name, ", ".join(named + more), ", ".join(others))


def has(recipe: Recipe, group: LayerGroup, wheels: Sequence[Pin]) -> bool:
    """Whether the image has this layer too: the same files of the same wheels."""
    return any(
        (other.split, other.remove_commands, held) == (group.split, group.remove_commands, wheels)
        for other, held in recipe.layers
    )


def difference(path: Path, text: str) -> str:
    """What `write` would change, as a unified diff; empty if nothing."""
    return dockerfile.difference(path, committed(path), text)


def template(name: str, facts: dict[str, object]) -> str:
    return dockerfile.environment().get_template(name).render(facts)
