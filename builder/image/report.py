"""The size of an image as built: its layers and which images share them, its largest packages, its budget."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from builder.catalog.models import Image
from builder.console import print_line, print_table, size
from builder.debian import sources
from builder.image import assemble
from builder.image.recipe import Recipe
from builder.image.record import LayerRecord, Record
from builder.layers import wheels
from builder.layers.install import Target, Wheel, installed_files

DPKG_STATUS = "var/lib/dpkg/status"
LARGEST = 15
"""Packages that a terminal shows; JSON has all."""


@dataclass(frozen=True)
class Package:
    """A wheel, or a package of Debian's (`origin`), and the bytes it takes in the image, bytecode apart."""

    name: str
    version: str
    origin: str
    size: int


def weigh(recipe: Recipe, records: dict[str, Record]) -> dict[str, Any]:
    """The image's entry in `report --json`; `records` are of all images that are built. Sizes in bytes."""
    image = recipe.image
    built = records[image.name]
    layers = [layer.model_dump() | {"shared_with": shared_with(image, layer, records)} for layer in built.layers]
    own = [layer for layer in layers if not layer["shared_with"]]
    return {
        "digest": built.digest,
        "compressed": built.compressed,
        "unpacked": built.unpacked,
        "own": {"compressed": total(own, "size"), "unpacked": total(own, "raw_size")},
        "budget": image.size_budget.model_dump(),
        "layers": layers,
        "packages": [asdict(package) for package in packages(recipe, built)],
    }


def print_weight(name: str, weight: dict[str, Any]) -> None:
    """The image as a page for a terminal."""
    budget = weight["budget"]
    print_line(f"{name} {weight['digest']}")
    print(f"pull {size(weight['compressed'])} of {size(budget['compressed'])} allowed")
    print(f"unpacked {size(weight['unpacked'])} of {size(budget['unpacked'])} allowed")
    print(f"its own {own_part(weight)}\n")
    print_table(("pull", "unpacked", "shared with", "layer"), [layer_row(layer) for layer in weight["layers"]])
    rows = [(size(package["size"]), package["name"], package["version"]) for package in weight["packages"][:LARGEST]]
    print()
    print_table(("unpacked", "largest packages", "version"), rows)
    print()


def own_part(weight: dict[str, Any]) -> str:
    """What the image adds to all others that are built, and which have the rest."""
    own, others = weight["own"], sorted({name for layer in weight["layers"] for name in layer["shared_with"]})
    rest = f"the rest is shared with {', '.join(others)}" if others else "no other built image has a layer of it"
    return f"{size(own['compressed'])}, {size(own['unpacked'])} unpacked; {rest}"


def total(layers: Iterable[dict[str, Any]], of: str) -> int:
    return sum(layer[of] or 0 for layer in layers)


def layer_row(layer: dict[str, Any]) -> tuple[str, ...]:
    raw = "?" if layer["raw_size"] is None else size(layer["raw_size"])
    return size(layer["size"]), raw, ", ".join(layer["shared_with"]), layer["what"]


def shared_with(image: Image, layer: LayerRecord, records: dict[str, Record]) -> list[str]:
    """The other images that have the same layer."""
    return [
        name
        for name, record in records.items()
        if name != image.name and layer.digest in {other.digest for other in record.layers}
    ]


def packages(recipe: Recipe, built: Record) -> list[Package]:
    """The image's packages, the largest first; those whose files the cache no longer holds are left out."""
    target = assemble.target_of(recipe)
    on_disk = [wheel for pin in recipe.wheels.wheels if (wheel := wheels.find(pin))]
    found = [of_wheel(wheel, target) for wheel in on_disk] + of_debian(built.layers[0].digest)
    return sorted(found, key=attrgetter("size"), reverse=True)


def of_wheel(wheel: Wheel, target: Target) -> Package:
    size = sum(file.entry.size for file in installed_files(wheel, target))
    return Package(wheel.name, wheel.version, "wheel", size)


def of_debian(base_layer: str) -> list[Package]:
    """What dpkg knows of the base layer, by its digest."""
    status = assemble.files_in(base_layer, {DPKG_STATUS}).get(DPKG_STATUS, b"")
    return [
        Package(entry["Package"], entry["Version"], "debian", 1024 * int(entry.get("Installed-Size", 0)))
        for entry in sources.stanzas(status.decode(errors="replace"))
    ]
