"""The names of images: which ones an image that has passed its smoke tests gets."""

import os

from builder.catalog.models import Image
from builder.errors import UsageError
from builder.image.record import Record


def tags_of(image: Image, built: Record) -> tuple[str, ...]:
    """The names of an image that passed: exact versions, and the same with the first 12 digits of its lock.

    An unlocked image does without the second: it does not hold what that lock says.
    """
    name = f"{repository()}/{image.name}:{image.full_tag}"
    return (name, f"{name}-{built.lock[:12]}") if built.locked else (name,)


def repository() -> str:
    """What stands before an image's name: where images are published, else plain `seedbed`."""
    return published() or "seedbed"


def published() -> str | None:
    """Where images are published: `SEEDBED_REPOSITORY`, such as registry.example.org/team; None: it is not set."""
    return os.environ.get("SEEDBED_REPOSITORY") or None


def to_publish() -> str:
    """As `published`; raises UsageError if it is not set."""
    if place := published():
        return place
    raise UsageError("set SEEDBED_REPOSITORY to where images belong, such as registry.example.org/team")
