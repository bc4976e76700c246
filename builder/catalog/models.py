"""The catalog: every images/<name>/image.yaml, read and checked. Adding an image is adding a folder."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from builder import paths
from builder.catalog import source
from builder.catalog.image import EXAMPLE, NAME, Base, Image, Located
from builder.catalog.source import Source
from builder.errors import UsageError


@dataclass(frozen=True)
class Catalog:
    """All images and their bases, by name."""

    root: Path
    images: dict[str, Image]
    bases: dict[str, Base]

    def image(self, name: str) -> Image:
        if name not in self.images:
            raise UsageError(f"no image {name!r} in {source.shown(self.root)}; there are: {', '.join(self.images)}")
        return self.images[name]

    def select(self, names: Iterable[str], *, default: bool = False) -> list[Image]:
        """The images named, or all if none is; an image comes before those that share its layers.

        With `default` the images of `default: true` if none is named; raises `UsageError` if there is none of those.
        """
        wanted = set(names) or {image.name for image in self.images.values() if image.default and default}
        if default and not wanted:
            raise UsageError(f"no image is a default image; name one of {', '.join(self.images)}, or add --all")
        for name in wanted - self.bases.keys():
            self.image(name)
        images = [image for image in self.images.values() if image.name in wanted or not wanted]
        return sorted(images, key=lambda image: (self.depth(image), image.name))

    def depth(self, image: Image) -> int:
        """How long the longest chain of source images below the image is: 0 if all its layers are its own."""
        return max((1 + self.depth(self.images[shared.image]) for shared in image.shared), default=0)

    def select_bases(self, names: Iterable[str]) -> list[Base]:
        """The bases named, or all if none is."""
        wanted = set(names)
        return [base for base in self.bases.values() if base.name in wanted or not wanted]


def load(root: Path) -> Catalog:
    """Read and check every `<root>/<name>/image.yaml`; raises `UsageError` with file, line and key."""
    images: dict[str, Image] = {}
    bases: dict[str, Base] = {}
    for path in sorted(root.glob("*/image.yaml")):
        if not re.fullmatch(NAME, path.parent.name):
            raise UsageError(f"{source.shown(path.parent)}: expected a name of small letters, digits and '-'")
        read = source.read(path)
        if read.data.get("kind") == "base":
            bases[path.parent.name] = locate(read, Base)
        else:
            images[path.parent.name] = locate(read, Image)
    if not images:
        raise UsageError(f"{root}: no image here; expected {root}/<name>/image.yaml")
    catalog = Catalog(root, images, bases)
    for image in images.values():
        check_references(catalog, image)
        check_shared(images, image)
        check_names(image)
    check_circles(images)
    return catalog


def locate(read: Source, model: type[Located]) -> Located:
    located = read.validate(model)
    located._source = read
    return located


def check_references(catalog: Catalog, image: Image) -> None:
    """Raise `UsageError` if a file names a base, an image, a layer or a script that does not exist."""
    base = catalog.bases.get(image.base)
    if base is None:
        known = ", ".join(catalog.bases) or "none"
        raise UsageError(f"{image.where('base')}: no base {image.base!r}; there are: {known}")
    if base.python != image.python:
        raise UsageError(
            f"{image.where('python')}: expected {base.python}, which {base.name} ships, found {image.python}"
        )
    if not (paths.EXAMPLES / image.example).is_file():
        raise UsageError(f"{image.where('example')}: no file examples/{image.example}; expected {EXAMPLE}")
    for index, name in enumerate(image.quick or ()):
        if not (image.programs_folder / name).is_file():
            known = ", ".join(script.name for script in sorted(image.programs_folder.glob("*.py"))) or "none"
            raise UsageError(f"{image.where('quick', index)}: no program {name!r}; there are: {known}")
    image.full_tag  # noqa: B018 (raises where the template names an unknown fact)


def check_shared(images: Mapping[str, Image], image: Image) -> None:
    """Raise `UsageError` unless the layers that the image takes from others exist, and are those images' own."""
    for index, shared in enumerate(image.shared):
        owner = images.get(shared.image)
        if owner is None or owner is image:
            others = ", ".join(name for name in images if name != image.name) or "none"
            where = image.where("shared", index, "image")
            raise UsageError(f"{where}: expected another image, found {shared.image!r}; there are: {others}")
        owned = [group.name for group in owner.layers]
        for number, name in enumerate(shared.layers):
            if name not in owned:
                where = image.where("shared", index, "layers", number)
                raise UsageError(f"{where}: {owner.name} has no layer {name!r} of its own; it has: {', '.join(owned)}")


def check_names(image: Image) -> None:
    """Raise `UsageError` if two of the image's layers, shared or not, have one name."""
    names: list[tuple[tuple[str | int, ...], str]] = []
    for index, shared in enumerate(image.shared):
        names += [(("shared", index, "layers", number), name) for number, name in enumerate(shared.layers)]
    names += [(("layers", index, "name"), group.name) for index, group in enumerate(image.layers)]
    seen = set()
    for keys, name in names:
        if name in seen:
            raise UsageError(f"{image.where(*keys)}: expected another name for each layer, found {name!r} again")
        seen.add(name)


def check_circles(images: Mapping[str, Image]) -> None:
    """Raise `UsageError` if an image takes layers of one that, directly or not, takes layers of it."""
    try:
        TopologicalSorter({name: [shared.image for shared in image.shared] for name, image in images.items()}).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # graphlib names a source before the image that takes from it
        chain = ", which takes layers of ".join(circle)
        raise UsageError(f"{images[circle[0]].where('shared')}: expected no circle, found {chain}") from None
