"""Pythons for tests."""

import shutil
import sys
import venv
from pathlib import Path

from builder import paths


def with_runtime(home: Path) -> Path:
    """Make a Python with the runtime installed as in an image: the package, and the `.pth` file that loads it.

    Returns its folder of packages.
    """
    venv.create(home, symlinks=True)
    packages = home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    shutil.copytree(paths.RUNTIME / "seedbed", packages / "seedbed", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(paths.RUNTIME / "00_seedbed.pth", packages)
    return packages
