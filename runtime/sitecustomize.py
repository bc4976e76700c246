"""Seedbed's second carrier, in the standard library's folder: reaches virtual environments made inside the container.

Python imports it after all `.pth` files. It takes the place of Debian's, which only looks for apport, a package the
image does not have.
"""

import sys

if "seedbed.boot" not in sys.modules:
    packages = f"/opt/venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    sys.path.append(packages)  # for `seedbed` alone, whose modules import only what is loaded already
    try:
        import seedbed.boot  # noqa: F401 - importing it is all
    finally:
        sys.path.remove(packages)
