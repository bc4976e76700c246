"""What the image that this runs in says of itself."""

import json
from pathlib import Path

DESCRIPTION = Path("/etc/seedbed/image.json")  # written by the build; not there outside containers


def description() -> dict:
    """Name, tag, lock and versions; empty outside an image."""
    return json.loads(DESCRIPTION.read_text()) if DESCRIPTION.exists() else {}


def identity() -> dict:
    """What tells images apart: name, tag and lock; empty outside one."""
    return {key: value for key, value in description().items() if key in ("name", "tag", "lock")}
