"""`audit.yaml` beside the images: the known vulnerabilities that are accepted, each with a reason and until a date."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from packaging.utils import canonicalize_name
from pydantic import AfterValidator, Field

from builder.catalog import source
from builder.catalog.image import Strict, Text
from builder.errors import UsageError

FILE = "audit.yaml"


class Entry(Strict):
    """A vulnerability of a package, by any of its names, such as `CVE-2025-32434`."""

    id: Text
    package: Annotated[Text, AfterValidator(canonicalize_name)]
    reason: Text
    expires: date


class Allowlist(Strict):
    """The file as a whole."""

    allowed: tuple[Entry, ...] = Field(description="a list of vulnerabilities with id, package, reason and expires")


@dataclass(frozen=True)
class Allowed:
    """An entry, and where it is: `images/audit.yaml:7: allowed.1`."""

    entry: Entry
    where: str


def load(root: Path) -> list[Allowed]:
    """What the file in the catalog at `root` allows; nothing if there is none.

    Raises UsageError, with file, line and key, for an entry that lacks something, and for one past its date.
    """
    path = root / FILE
    if not path.exists():
        return []
    read = source.read(path)
    entries = read.validate(Allowlist).allowed
    for index, entry in enumerate(entries):
        if entry.expires < datetime.now(UTC).date():
            where = read.where("allowed", index, "expires")
            raise UsageError(f"{where}: {entry.id} was accepted until {entry.expires}: look at it again, or remove it")
    return [Allowed(entry, read.where("allowed", index)) for index, entry in enumerate(entries)]
