"""The locks of what runs in an image and is no part of it: scripts that test it, and notebooks."""

from dataclasses import dataclass
from pathlib import Path

from builder import paths
from builder.catalog.image import Image, Locked
from builder.lock import lockfile, requirements
from builder.lock.requirements import Lock

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
    """Resolve what the programs need beyond the wheels of the image's lock; raises `SeedbedError` if none fit."""
    constraints = [pin.release for pin in image.wheels]
    resolved = requirements.resolve(programs.requirements_path, programs.python, constraints, cutoff)
    names = {pin.name for pin in image.wheels}
    return Lock(inputs_of(programs, image), cutoff, tuple(pin for pin in resolved if pin.name not in names))


def check(programs: Programs, image: Lock) -> Lock:
    """The programs' lock, proven to belong to their requirements and to the image's lock; raises `SeedbedError`."""
    locked = requirements.read(programs)
    lockfile.refuse_stale(programs.lock_path, programs.name, locked.inputs, inputs_of(programs, image))
    return locked


def inputs_of(programs: Programs, image: Lock) -> str:
    """The hex sha256 of all inputs that decide what the lock contains, except its cut-off date."""
    inputs = {
        "requirements": requirements.requirements_in(programs),
        "image": [str(pin) for pin in image.wheels],
    }
    return lockfile.hash_of(inputs)
