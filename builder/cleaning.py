"""Deletes what Seedbed can make or fetch again."""

import shutil
from collections.abc import Callable

from builder import engine, paths, scratch
from builder.console import size

MADE = ("layers", "blobs", "records", scratch.NAME)


def clean(everything: bool, log: Callable[[str], None]) -> None:
    """Delete layers and records; with `everything` downloads and the embedded engine's data as well."""
    cache = paths.cache()
    before = shutil.disk_usage(cache).free if cache.exists() else 0
    if everything:
        engine.embedded().destroy()
    for folder in [cache] if everything else [cache / name for name in MADE]:
        shutil.rmtree(folder, ignore_errors=True)
    freed = shutil.disk_usage(cache if cache.exists() else cache.parent).free - before if before else 0
    log(f"freed {size(max(freed, 0))}")
