"""What writes layers: the versions and settings, beside the files that go in, which decide the bytes of every layer.

The base's lock and a label of every image name them, so no digest changes without a change of the lock.
"""

from importlib.metadata import version

import zstandard

from builder import tar

LEVEL = 3
"""zstd's compression level."""


def identity() -> str:
    """The writer in one line. mmdebstrap is not among it: the lock has that as a package, with its hash."""
    zstd = ".".join(map(str, zstandard.ZSTD_VERSION))
    return (
        f"format {tar.FORMAT}, installer {version('installer')}, zstandard {version('zstandard')}, "
        f"zstd {zstd} at level {LEVEL}"
    )
