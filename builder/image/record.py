"""What was built: one small JSON file a build, found again by the hash of everything that went in."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from builder import files, paths, reading
from builder.errors import SeedbedError
from builder.oci.store import Digest
from builder.outcomes import Result


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LayerRecord(Frozen):
    """A layer as the manifest lists it; `size` is compressed, `raw_size` is not, and is known of assembled ones."""

    digest: Digest
    size: NonNegativeInt
    what: str
    raw_size: NonNegativeInt | None = None


class Record(Frozen):
    """One build of one image; `digest` is its manifest's, `config` its config's, sizes are in bytes.

    `substituted`: locked Debian packages, and what is there instead. `full`: the smoke tests left out no program.
    """

    image: str
    inputs: str
    lock: str
    digest: Digest
    config: Digest
    layers: tuple[LayerRecord, ...] = Field(min_length=1)
    unpacked: NonNegativeInt
    substituted: tuple[str, ...] = ()
    seconds: float
    smoke: tuple[Result, ...] = ()
    full: bool = False
    tags: tuple[str, ...] = ()

    @property
    def compressed(self) -> int:
        return sum(layer.size for layer in self.layers)

    @property
    def locked(self) -> bool:
        """Whether the image holds exactly what its locks say."""
        return not self.substituted

    @property
    def tested(self) -> bool:
        return bool(self.smoke) and all(result.outcome != "failed" for result in self.smoke)

    def with_tests_of(self, known: "Record | None") -> "Record":
        """With the test results and tags of an earlier build, if that made the same image."""
        if known is None or known.digest != self.digest:
            return self
        return self.model_copy(update={"smoke": known.smoke, "full": known.full, "tags": known.tags})

    def save(self) -> None:
        files.write(path_of(self.inputs), self.model_dump_json(indent=2))


def find(inputs: str) -> Record | None:
    """The record of the build that had these inputs, None where there was none or another version wrote it."""
    try:
        return Record.model_validate_json(reading.data(path_of(inputs)))
    except (SeedbedError, ValidationError):
        return None


def of_image(name: str) -> list[Record]:
    """The records of all builds of an image that are still there."""
    found = (find(path.stem) for path in sorted(folder().glob("*.json")))
    return [built for built in found if built and built.image == name]


def folder() -> Path:
    return paths.cache() / "records"


def path_of(inputs: str) -> Path:
    return folder() / f"{inputs}.json"
