"""What is known of an image, as data for programs and as a row or a page for people. No engine is asked."""

from collections import Counter
from typing import Any

from builder import outcomes
from builder.catalog.models import Image
from builder.console import print_line, print_table, size
from builder.image import build
from builder.image.recipe import Recipe
from builder.image.record import Record

COLUMNS = ("image", "tag", "digest", "pull", "own", "unpacked", "layers", "smoke tests")


def summary(recipe: Recipe, built: Record | None) -> dict[str, Any]:
    """One image's entry in `list --json`. Sizes in bytes; `digest` is None until it is built."""
    return {
        **facts(recipe.image),
        "lock": recipe.lock,
        **(of_build(built) if built else {"digest": None, "layers": []}),
    }


def of_stale(image: Image, reason: str) -> dict[str, Any]:
    """The entry of an image that has no recipe: a lock is stale or missing."""
    return {**facts(image), "lock": None, "digest": None, "layers": [], "stale": reason}


def facts(image: Image) -> dict[str, Any]:
    return {
        "title": image.title,
        "tag": image.full_tag,
        "default": image.default,
        "gpus": list(image.gpus),
        "end_of_life": image.end_of_life.date.isoformat() if image.end_of_life else None,
        "past_end_of_life": image.past_end_of_life is not None,
    }


def of_build(built: Record) -> dict[str, Any]:
    facts = built.model_dump(include={"digest", "layers", "unpacked", "substituted", "tags", "smoke", "full"})
    return facts | {"compressed": built.compressed, "locked": built.locked}


def with_own(summaries: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """With `own` in the entry of every image that is built: the bytes of its layers that no other built image has."""
    layers = {name: {layer["digest"]: layer["size"] for layer in entry["layers"]} for name, entry in summaries.items()}
    images = Counter(digest for found in layers.values() for digest in found)
    own = {name: sum(size for digest, size in found.items() if images[digest] == 1) for name, found in layers.items()}
    return {name: entry | ({"own": own[name]} if entry["digest"] else {}) for name, entry in summaries.items()}


def print_summaries(summaries: dict[str, dict[str, Any]]) -> None:
    """The images as a table without empty columns, and below it every check that did not pass, and why."""
    columns = list(zip(COLUMNS, *(row(name, summary) for name, summary in summaries.items()), strict=True))
    head, *rows = zip(*(column for column in columns if any(column[1:])), strict=True)
    print_table(head, rows)
    for name, summary in summaries.items():
        for result in summary.get("smoke", ()):
            if result["outcome"] != "passed":
                print_line(f"{name}: {result['outcome']}: {result['check']}: {result['detail']}")
        if summary.get("past_end_of_life"):
            print_line(f"{name}: end of life since {summary['end_of_life']}")
        for substituted in summary.get("substituted", ()):
            print_line(f"{name}: unlocked: {substituted}")


def row(name: str, summary: dict[str, Any]) -> tuple[str, ...]:
    """The image as a line of that table."""
    if summary["digest"] is None:
        return name, summary["tag"], summary.get("stale", "not built"), "", "", "", "", ""
    ended = [result["outcome"] for result in summary["smoke"]]
    return (
        name,
        summary["tag"] + ("" if summary["locked"] else " (unlocked)"),
        summary["digest"],
        size(summary["compressed"]),
        size(summary["own"]) if "own" in summary else "",
        size(summary["unpacked"]),
        str(len(summary["layers"])),
        f"{outcomes.summary(ended)}{'' if summary['full'] else ' (quick)'}" if ended else "not run",
    )


def details(recipe: Recipe) -> dict[str, Any]:
    """The data of `show`: the summary, what image.yaml says, and the wheels of every layer."""
    image = recipe.image
    return {
        "name": image.name,
        **summary(recipe, build.find(recipe)),
        "description": image.description,
        "base": image.base,
        "python": image.python,
        "cuda": image.cuda,
        "cudnn": image.cudnn,
        "wheels": {group.name: {wheel.name: wheel.version for wheel in wheels} for group, wheels in recipe.layers},
    }


def print_details(details: dict[str, Any]) -> None:
    """A page about one image, for a terminal."""
    facts = ("name", "title", "description", "default", "tag", "lock", "digest", "python", "cuda", "cudnn", "gpus")
    details = details | {"gpus": ", ".join(details["gpus"]), "default": "yes" if details["default"] else "no"}
    print_table(("", ""), [(fact, str(details[fact])) for fact in (*facts, "end_of_life") if details[fact]])
    rows = [
        (layer, package, version)
        for layer, packages in details["wheels"].items()
        for package, version in packages.items()
    ]
    print_table(("layer", "wheel", "version"), rows)
    print_table(
        ("layer", "pull", "digest"),
        [(layer["what"], size(layer["size"]), layer["digest"]) for layer in details["layers"]],
    )
