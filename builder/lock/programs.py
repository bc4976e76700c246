"""The locks of what runs in an image and is no part of it: scripts that test it, and notebooks."""

from dataclasses import dataclass
from pathlib import Path

from builder import paths
from builder.catalog.image import Image, Locked
from builder.errors import SeedbedError
from builder.lock import requirements
from builder.lock.inputs import hash_of
from builder.lock.requirements import Lock
from builder.reading import shown

FIELD_CASES = paths.ROOT / "tests" / "image" / "field"


@dataclass(frozen=True)
class Programs(Locked):
    """Scripts that run inside an image. Like the image, they have requirements and a lock."""

    image: Image
    folder: Path

    @property
    def name(self) -> str:
        return self.image.name

    @property
    def python(self) -> str:
        return self.image.python

    @property
    def scripts(self) -> list[Path]:
        return sorted(self.folder.glob("*.py"))


def of(image: Image) -> Programs:
    """The programs that the smoke tests run; some images have none."""
    return Programs(image, image.programs_folder)


def field_cases(image: Image) -> Programs:
    """Small inputs after public reports, which tests/image runs (docs/field.md)."""
    return Programs(image, FIELD_CASES / image.name)


def notebook(image: Image) -> Programs:
    """Jupyter and TensorBoard, which compose.yaml adds to the image (docs/compose.md); most images have none."""
    return Programs(image, image.folder / "notebook")


def locked_beside(image: Image) -> list[Programs]:
    """Every set of packages whose lock follows from the image's."""
    found = [programs for programs in (of(image), field_cases(image)) if programs.scripts]
    return [*found, beside] if (beside := notebook(image)).requirements_path.is_file() else found


def make(programs: Programs, image: Lock, cutoff: str) -> Lock:
    """Resolve what the programs need beyond the wheels of the image's lock, which stay as they are.

    Raises SeedbedError.
    """
    constraints = [f"{pin.name}=={pin.version}" for pin in image.wheels]
    resolved = requirements.resolve(programs.requirements_path, programs.python, constraints, cutoff)
    names = {pin.name for pin in image.wheels}
    return Lock(inputs_of(programs, image), cutoff, tuple(pin for pin in resolved if pin.name not in names))


def check(programs: Programs, image: Lock) -> Lock:
    """The programs' lock, proven to belong to their requirements and to the image's lock; raises `SeedbedError`."""
    locked = requirements.read(programs)
    if locked.inputs != inputs_of(programs, image):
        raise SeedbedError(
            f"{shown(programs.lock_path)}: stale, its inputs changed since it was made; "
            f"run ./build.py lock {programs.name}"
        )
    return locked


def inputs_of(programs: Programs, image: Lock) -> str:
    """The hex sha256 of all inputs that decide what the lock contains, except its cut-off date."""
    inputs = {
        "requirements": requirements.requirements_in(programs),
        "image": [str(pin) for pin in image.wheels],
    }
    return hash_of(inputs)
