"""Where Seedbed keeps what it can make again: one cache folder, safe to delete whenever no build runs."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "runtime"
EXAMPLES = ROOT / "examples"
TEMPLATES = ROOT / "templates"
IMAGES = ROOT / "images"
REQUIREMENTS = ROOT / "requirements.lock"
CODE = (ROOT / "build.py", ROOT / "builder", RUNTIME, EXAMPLES, TEMPLATES, REQUIREMENTS)
"""What a build reads of the checkout, beside a catalog."""


THROWAWAY = "SEEDBED_THROWAWAY"
"""Set in a container that is there for one command alone (`builder.engine.throwaway`)."""


def cache() -> Path:
    """The folder `seedbed` in `SEEDBED_CACHE`, else in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    home = os.environ.get("SEEDBED_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).absolute() / "seedbed"
