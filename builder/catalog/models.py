"""The catalog: every images/<name>/image.yaml as a frozen, validated model. Adding an image is adding a folder."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

from packaging.utils import canonicalize_name, is_normalized_name
from pydantic import ByteSize, Field, PrivateAttr, field_validator

from builder import paths
from builder.catalog import sharing, source
from builder.catalog.fields import (
    NAME,
    TAG,
    DebianPackage,
    Default,
    Gpus,
    Label,
    Name,
    Python,
    Script,
    Size,
    Strict,
    TagTemplate,
    Text,
    Value,
    Variable,
    Version,
)
from builder.catalog.sharing import LayerGroup, Shared
from builder.catalog.source import Source
from builder.errors import UsageError

EXAMPLE = (
    "the name of a script in examples/ that trains for `--epochs N` and prints `parameters sha256: <64 hex digits>` "
    "(CONTRIBUTING.md, Add an image)"
)


class EndOfLife(Strict):
    """When this version of the framework reached end of life, or will."""

    date: date
    note: Text

    @property
    def passed(self) -> bool:
        return datetime.now(UTC).date() > self.date


class SizeBudget(Strict):
    """The most an image may weigh, and each of its layers unpacked, in bytes (`3.5GB` in the file)."""

    compressed: Size
    unpacked: Size
    layer: Size = ByteSize(1_500_000_000)


class Located(Strict):
    """A model that knows the file it came from."""

    _source: Source = PrivateAttr()

    @property
    def folder(self) -> Path:
        return self._source.path.parent

    @property
    def name(self) -> str:
        return self.folder.name

    def where(self, *keys: str | int) -> str:
        return self._source.where(*keys)


class Base(Located):
    """The Debian root file system that images are based on."""

    kind: Literal["base"]
    suite: Name
    python: Python
    epoch: Annotated[date, Field(ge=date(1980, 1, 1), lt=date(2100, 1, 1))]
    registry: str
    packages: tuple[DebianPackage, ...] = Field(min_length=1)

    @field_validator("registry")
    @classmethod
    def pinned_by_digest(cls, reference: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}", reference):
            raise ValueError(f"expected NAME@sha256: and exactly 64 hex digits, found {reference!r}")
        return reference

    @property
    def lock_path(self) -> Path:
        return self.folder / "packages.lock"

    @property
    def source_date_epoch(self) -> int:
        """Seconds since 1970 that every file and every record of a build carries."""
        return int(datetime.combine(self.epoch, time(), UTC).timestamp())


class Image(Located):
    """One image as data."""

    kind: Literal["image"] = "image"
    default: Default = True
    title: Text
    description: Text
    base: Name
    python: Python
    frameworks: tuple[Name, ...]
    versions: dict[str, Version] = Field(min_length=1)
    cuda: Version | None = None
    cudnn: Version | None = None
    gpus: Gpus = ()
    tag: TagTemplate
    end_of_life: EndOfLife | None = None
    licenses: Text
    shared: tuple[Shared, ...] = ()
    layers: tuple[LayerGroup, ...] = Field(min_length=1)
    environment: dict[Variable, Value] = Field({})
    labels: dict[Label, Value] = Field({})
    example: Script = Field(description=EXAMPLE)
    quick: tuple[Script, ...] | None = None
    size_budget: SizeBudget

    @field_validator("versions")
    @classmethod
    def canonical_names(cls, versions: dict[str, str]) -> dict[str, str]:
        for name in versions:
            if not is_normalized_name(name):
                raise ValueError(f"expected a normalised name, such as {canonicalize_name(name)!r}, found {name!r}")
        return versions

    @field_validator("labels")
    @classmethod
    def labels_of_others(cls, labels: dict[str, str]) -> dict[str, str]:
        """Those of Seedbed say what the image was made from, and have to be true."""
        if own := [name for name in labels if name.startswith("io.seedbed.")]:
            raise ValueError(f"expected labels of your own, found {own[0]!r}, which Seedbed sets")
        return labels

    @property
    def past_end_of_life(self) -> EndOfLife | None:
        return self.end_of_life if self.end_of_life and self.end_of_life.passed else None

    @property
    def programs_folder(self) -> Path:
        """Scripts that train with third-party libraries, of which `quick` names those of a quick smoke test."""
        return self.folder / "programs"

    @property
    def requirements_path(self) -> Path:
        return self.folder / "requirements.in"

    @property
    def lock_path(self) -> Path:
        return self.folder / "requirements.lock"

    @property
    def dockerfile_path(self) -> Path:
        return self.folder / "Dockerfile"

    @property
    def full_tag(self) -> str:
        """The tag that names exact versions, such as `2.7.1-cuda12.6-cudnn9-py311`."""
        facts = {name.replace("-", "_"): version for name, version in self.versions.items()}
        facts |= {"python": self.python.replace(".", "")}
        facts |= {"cuda": self.cuda} if self.cuda else {}
        facts |= {"cudnn": self.cudnn.partition(".")[0]} if self.cudnn else {}
        try:
            tag = self.tag.format(**facts)
        except (KeyError, IndexError) as error:
            known = ", ".join(sorted(facts))
            raise UsageError(f"{self.where('tag')}: {error} is not among the known names: {known}") from None
        if not re.fullmatch(TAG, tag):
            raise UsageError(f"{self.where('tag')}: expected a tag of 1 to 115 characters, found {tag!r}")
        return tag


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
        return sorted(images, key=lambda image: (sharing.depth(self.images, image), image.name))

    def select_bases(self, names: Iterable[str]) -> list[Base]:
        """The bases named, or all if none is."""
        wanted = set(names)
        return [base for base in self.bases.values() if base.name in wanted or not wanted]

    def base_of(self, image: Image) -> Base:
        return self.bases[image.base]


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
    sharing.check(images)
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
