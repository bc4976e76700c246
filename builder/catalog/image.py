"""image.yaml as frozen models: an image, a base, and what their fields may hold."""

import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

from packaging.utils import canonicalize_name, is_normalized_name
from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StringConstraints,
    field_validator,
)

from builder.catalog.source import Source
from builder.errors import UsageError
from builder.text import matches

NAME = r"^[a-z][a-z0-9-]*$"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,114}"  # 13 more characters name the lock; Docker takes 128

EXAMPLE = (
    "the name of a script in examples/ that trains for `--epochs N` and prints `parameters sha256: <64 hex digits>` "
    "(CONTRIBUTING.md, Add an image)"
)


def without_control_characters(value: str) -> str:
    """What ends up in a Dockerfile must not make a line of its own there, nor move a terminal's cursor."""
    if not value.isprintable():
        raise ValueError(f"expected one line without control characters, found {value!r}")
    return value


def not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("expected text, found white space alone")
    return value


Value = Annotated[str, AfterValidator(without_control_characters)]
Text = Annotated[Value, StringConstraints(min_length=1, strip_whitespace=True), AfterValidator(not_blank)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9a-z]+)*$")]
Python = Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
DebianPackage = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
Command = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$")]
Script = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+\.py$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$")]
TagTemplate = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_.-]|\{[a-z_][a-z0-9_]*\})+$")]
Default = Annotated[
    StrictBool, Field(description="true, or false for an image that commands take only if it is named, or with --all")
]
Gpu = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]?\.[0-9](\+PTX)?$")]
Gpus = Annotated[
    tuple[Gpu, ...],
    Field(description='compute capabilities, such as ["8.0", "9.0+PTX"], as the smoke tests find them in the wheels'),
]
Size = Annotated[ByteSize, Field(gt=0)]


class Strict(BaseModel):
    """No key is unknown, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
        return matches(package, self.packages)


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


class Locked:
    """What has requirements and a lock of them in its `folder`: an image, or its programs."""

    @property
    def requirements_path(self) -> Path:
        return self.folder / "requirements.in"

    @property
    def lock_path(self) -> Path:
        return self.folder / "requirements.lock"


class Image(Located, Locked):
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
        except KeyError as error:
            known = ", ".join(sorted(facts))
            raise UsageError(f"{self.where('tag')}: {error} is not among the known names: {known}") from None
        if not re.fullmatch(TAG, tag):
            raise UsageError(f"{self.where('tag')}: expected a tag of 1 to 115 characters, found {tag!r}")
        return tag
