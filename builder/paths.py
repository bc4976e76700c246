"""Where Seedbed keeps what it can make again: one cache folder, safe to delete whenever no build runs."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "runtime"
EXAMPLES = ROOT / "examples"
TEMPLATES = ROOT / "templates"
IMAGES = ROOT / "images"
REQUIREMENTS = ROOT / "requirements.lock"


def cache() -> Path:
    """`SEEDBED_CACHE`, else `$XDG_CACHE_HOME/seedbed`, else `~/.cache/seedbed`."""
    if named := os.environ.get("SEEDBED_CACHE"):
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seedbed"
