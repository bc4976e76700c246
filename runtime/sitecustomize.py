"""Seedbed's second carrier, in the standard library's folder: reaches virtual environments made inside the container.

Python imports it after all `.pth` files. It takes the place of Debian's, which only looks for apport, a package the
image does not have. Python goes on after an error in this file, unseeded, so it ends the process itself.
"""

import os
import sys

if "seedbed.boot" not in sys.modules:
    packages = f"/opt/venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    sys.path.insert(0, packages)  # for `seedbed` alone, whose modules import only what is loaded already
    try:
        import seedbed.boot  # noqa: F401 - importing it is all
    except Exception as error:
        try:
            os.write(2, f"seedbed: cannot start: {error}\n".encode())
        finally:
            if os.environ.get("SEEDBED_MODE") not in ("warn", "off"):
                os._exit(78)  # EX_CONFIG of sysexits.h, as in seedbed.boot
    finally:
        sys.path.remove(packages)
