"""The toolchain: the versions and settings that, beside the files that go in, decide the bytes of every layer.

The base's lock and a label of every image name them, so no digest changes without a change of the lock.
"""

from importlib.metadata import version

import zstandard

from builder.debian import bootstrap
from builder.oci import tar
from builder.oci.store import hash_of

LEVEL = 3
"""zstd's compression level."""


def identity() -> str:
    """The toolchain in one line. It contains the options of mmdebstrap; the lock names its package."""
    zstd = ".".join(map(str, zstandard.ZSTD_VERSION))
    recipe = hash_of(bootstrap.RECIPE)
    return (
        f"format {tar.FORMAT}, installer {version('installer')}, zstandard {version('zstandard')}, "
        f"zstd {zstd} at level {LEVEL}, base recipe {recipe[:12]}"
    )
