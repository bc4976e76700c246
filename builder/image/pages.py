"""Pages about images: docs/images/NAME.md, and the tables in README.md and docs/programs.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import paths, reading
from builder.catalog.image import Image, LayerGroup
from builder.console import size
from builder.errors import SeedbedError, UsageError
from builder.image import contents, digest, rendered
from builder.image.recipe import Recipe, resolve_all
from builder.lock.programs import of
from builder.lock.requirements import Pin
from builder.reading import shown, title_of

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


def texts(root: Path) -> dict[Path, str]:
    """Each page as it has to be for the catalog in `root`; the page of an image that is gone is empty.

    Only the repository's own catalog has pages. Raises SeedbedError if one has no place for its table.
    """
    if root.resolve() != paths.IMAGES:
        return {}
    recipes = resolve_all(root, ())
    folder, readme, programs = paths.ROOT / "docs/images", paths.ROOT / "README.md", paths.ROOT / "docs/programs.md"
    return {
        **dict.fromkeys(sorted(folder.glob("*.md")), ""),
        **{folder / f"{recipe.name}.md": page(recipe, recipes) for recipe in recipes},
        readme: with_table(readme, "images", table_of_images(recipes)),
        programs: with_table(programs, "programs", table_of_programs(recipes)),
    }


def with_table(path: Path, name: str, table: str) -> str:
    """The text of the file with this table between its marks."""
    begin, end = f"<!-- table: {name} -->\n", "<!-- end -->\n"
    before, found, rest = reading.text(path).partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise SeedbedError(f"{shown(path)}: expected the lines {begin.strip()} and {end.strip()} around the table")
    return f"{before}{begin}{table}{end}{after}"


def table_of_images(recipes: Sequence[Recipe]) -> str:
    return rendered.template("images.md.j2", {"rows": [row(recipe) for recipe in recipes]})


def table_of_programs(recipes: Sequence[Recipe]) -> str:
    programs = [(recipe.name, title_of(script)) for recipe in recipes for script in of(recipe.image).scripts]
    rows = [("image", "program"), ("---", "---"), *programs]
    return "".join(f"| {image} | {program} |\n" for image, program in rows)


def page(recipe: Recipe, recipes: Sequence[Recipe]) -> str:
    """The page about one image; `recipes` are of all."""
    facts = {
        "base": recipe.base,
        "contents": contents,
        "driver": driver(recipe.image),
        "layers": list(layers(recipe, recipes)),
        "same_base": ", ".join(other.name for other in recipes if other.base == recipe.base and other is not recipe),
    }
    return rendered.template("image.md.j2", facts | row(recipe))


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
