"""The groups of wheels that are an image's layers: its own, and those that it takes from other images."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from pydantic import Field

from builder.catalog.fields import Command, Name, Strict, Text
from builder.errors import UsageError
from builder.problems import Key


class Shared(Strict):
    """Layers that an image takes from another, which owns them: the same wheels, so the same digests, pulled once."""

    image: Name
    layers: tuple[Name, ...] = Field(min_length=1)


class LayerGroup(Strict):
    """The wheels of one layer, by name; `*` matches any text. A wheel goes to the first group that names it.

    `split` makes two layers of it: files whose path below site-packages matches a pattern there, and all others.
    `remove_commands` names console scripts of these wheels that are left out.
    """

    name: Name
    packages: tuple[Text, ...] = Field(min_length=1)
    split: tuple[Text, ...] = ()
    remove_commands: tuple[Command, ...] = ()

    def holds(self, package: str) -> bool:
        return any(fnmatchcase(package, pattern) for pattern in self.packages)


class Layered(Protocol):
    """What has layers: an image."""

    @property
    def name(self) -> str: ...

    @property
    def shared(self) -> Sequence[Shared]: ...

    @property
    def layers(self) -> Sequence[LayerGroup]: ...

    def where(self, *keys: Key) -> str: ...


def depth(images: Mapping[str, Layered], image: Layered) -> int:
    """How long the longest chain of source images below the image is: 0 if all its layers are its own."""
    return max((1 + depth(images, images[shared.image]) for shared in image.shared), default=0)


def check(images: Mapping[str, Layered]) -> None:
    """Raise `UsageError` unless all shared layers exist, have names of their own, and lead to no circle."""
    for image in images.values():
        for index, shared in enumerate(image.shared):
            check_owner(images, image, index, shared)
        check_names(image)
    try:
        TopologicalSorter({name: [shared.image for shared in image.shared] for name, image in images.items()}).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # graphlib names a source before the image that takes from it
        chain = ", which takes layers of ".join(circle)
        raise UsageError(f"{images[circle[0]].where('shared')}: expected no circle, found {chain}") from None


def check_owner(images: Mapping[str, Layered], image: Layered, index: int, shared: Shared) -> None:
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


def check_names(image: Layered) -> None:
    """Raise `UsageError` if two of the image's layers, shared or not, have one name."""
    seen = set()
    for keys, name in named(image):
        if name in seen:
            raise UsageError(f"{image.where(*keys)}: expected another name for each layer, found {name!r} again")
        seen.add(name)


def named(image: Layered) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Where each of the image's layers is named, and its name; bottom first."""
    for index, shared in enumerate(image.shared):
        for number, name in enumerate(shared.layers):
            yield ("shared", index, "layers", number), name
    for index, group in enumerate(image.layers):
        yield ("layers", index, "name"), group.name
