"""What has changed from one inventory to another, and in the numbers that trainings come to."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from builder.reproduce.inventory import File, Inventory

SECTIONS = {
    "debian": "Debian packages",
    "wheels": "Wheels",
    "programs": "Wheels of third-party programs",
    "environment": "ENV",
    "labels": "Labels",
    "settings": "Settings",
}
MOST_IN_JSON = 1000


def kind_of(before: object, after: object) -> str:
    """What has become of a thing that is None where it is not there."""
    return "added" if before is None else "removed" if after is None else "changed"


@dataclass(frozen=True)
class Change:
    """`name` has the value `after` where it had `before`; None where it is not there."""

    name: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        return kind_of(self.before, self.after)


@dataclass(frozen=True)
class FileChange:
    """Sizes in bytes; None where there is no such file. Equal sizes: the content, mode, owner or kind differs."""

    path: str
    before: int | None
    after: int | None

    @property
    def kind(self) -> str:
        return kind_of(self.before, self.after)

    @property
    def growth(self) -> int:
        return (self.after or 0) - (self.before or 0)


@dataclass(frozen=True)
class LayerSizes:
    """How many layers both images have, and how many each has alone; sizes are compressed, in bytes."""

    shared: int
    shared_size: int
    before: int
    before_size: int
    after: int
    after_size: int


@dataclass(frozen=True)
class Number:
    """What a training comes to on one kind of machine, where that has changed: the fields that did.

    `current`: the new value was found with the locks as they are now.
    """

    training: str
    machine: str
    changes: tuple[Change, ...]
    current: bool

    @property
    def kind(self) -> str:
        kinds = {change.kind for change in self.changes}
        return kinds.pop() if len(kinds) == 1 else "changed"


@dataclass(frozen=True)
class Numbers:
    """Of one kind of recorded numbers: those that changed, how many did not, and of these how many are not current."""

    what: str
    changed: tuple[Number, ...]
    same: int
    not_current: int


@dataclass(frozen=True)
class Changelog:
    """From `first` to `second`, how people name them. `files` and `layers` are None if only locks were compared.

    The largest changes of files come first. `same` counts, by section, what is in both.
    """

    first: str
    second: str
    sections: Mapping[str, tuple[Change, ...]]
    same: Mapping[str, int]
    files: tuple[FileChange, ...] | None = None
    layers: LayerSizes | None = None
    numbers: tuple[Numbers, ...] = ()

    @property
    def empty(self) -> bool:
        return not (any(self.sections.values()) or self.files or any(numbers.changed for numbers in self.numbers))

    def to_json(self) -> dict[str, Any]:
        """Of the files, the 1000 largest changes; `files_changed` counts all."""
        document: dict[str, Any] = {"first": self.first, "second": self.second, "empty": self.empty}
        document |= {name: [asdict(change) for change in found] for name, found in self.sections.items()}
        if self.files is not None and self.layers is not None:
            document["files"] = [asdict(change) for change in self.files[:MOST_IN_JSON]]
            document["files_changed"] = len(self.files)
            document["layers"] = asdict(self.layers)
        if self.numbers:
            document["numbers"] = {numbers.what: asdict(numbers) for numbers in self.numbers}
        return document


def changelog(
    first: str, before: Inventory, second: str, after: Inventory, numbers: Iterable[Numbers] = ()
) -> Changelog:
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in SECTIONS}
    return Changelog(
        first,
        second,
        {name: changes(*pair) for name, pair in pairs.items()},
        {name: sum(one.get(key) == value for key, value in other.items()) for name, (one, other) in pairs.items()},
        None if before.files is None or after.files is None else file_changes(before.files, after.files),
        None if before.layers is None or after.layers is None else layer_sizes(before.layers, after.layers),
        tuple(numbers),
    )


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    names = sorted(before.keys() | after.keys())
    found = (Change(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in found if change.before != change.after)


def file_changes(before: Mapping[str, File], after: Mapping[str, File]) -> tuple[FileChange, ...]:
    """Those that grew or shrank most come first, then the largest that have other content, then by path."""
    pairs = ((path, before.get(path), after.get(path)) for path in before.keys() | after.keys())
    found = (FileChange(path, one and one.size, other and other.size) for path, one, other in pairs if one != other)
    return tuple(sorted(found, key=lambda one: (-abs(one.growth), -(one.after or 0), one.path)))


def layer_sizes(before: Mapping[str, int], after: Mapping[str, int]) -> LayerSizes:
    groups = (before.keys() & after, before.keys() - after, after.keys() - before)
    sizes = {**before, **after}
    return LayerSizes(*(count for group in groups for count in (len(group), sum(sizes[digest] for digest in group))))
