"""A cache and an embedded engine that a benchmark has to itself."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builder import paths
from builder.cli import cleaning
from builder.engine.client import embedded

DOWNLOADS = ("wheels", "packages", "apt")


@contextmanager
def own_cache(shared: Iterable[str]) -> Iterator[Path]:
    """A cache with an engine in it, gone at the end. The folders `shared` are the user's own."""
    ours = paths.cache()
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(dir=ours, prefix="benchmark-") as scratch:
        cache = Path(scratch, ours.name)
        for name in shared:
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            (cache / name).symlink_to(ours / name)
        cleaning.claim(cache)  # before a benchmark puts things of its own there
        os.environ |= {"SEEDBED_CACHE": scratch, "SEEDBED_ENGINE": "embedded"}
        try:
            yield cache
        finally:
            embedded().destroy()
            os.environ.clear()
            os.environ |= before
