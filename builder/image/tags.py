"""The names of images: which ones an image that has passed its smoke tests gets."""

import os

from builder.catalog.models import Image
from builder.image.record import Record


def tags_of(image: Image, built: Record) -> tuple[str, ...]:
    """The names of an image that passed: exact versions, and the same with the first 12 digits of its lock.

    An unlocked image does without the second: it does not hold what that lock says.
    """
    name = f"{repository()}/{image.name}:{image.full_tag}"
    return (name, f"{name}-{built.lock[:12]}") if built.locked else (name,)


def repository() -> str:
    """Where images belong: `SEEDBED_REPOSITORY`, such as registry.example.org/team, else plain `seedbed`."""
    return os.environ.get("SEEDBED_REPOSITORY", "seedbed")
