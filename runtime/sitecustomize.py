"""Seedbed's second carrier, in the standard library's folder: reaches virtual environments made inside the container.

Python imports it after all `.pth` files. It takes the place of Debian's, which only looks for apport, a package the
image does not have.
"""

import os
import sys


def set_home() -> None:
    """What set_home in entrypoint.sh does, for a Python started without it: by `docker exec`, or after setpriv."""
    found = os.environ.get("HOME") or "/"
    if found not in ("/", "/root", "/home/seedbed") or (found != "/" and os.access(found, os.W_OK)):
        return
    home = f"{os.environ.get('TMPDIR') or '/tmp'}/home-{os.getuid()}"
    try:
        os.mkdir(home, 0o700)  # noqa: PTH102 - pathlib would cost every Python process milliseconds
    except FileExistsError:
        if os.lstat(home).st_uid != os.getuid() or os.path.islink(home):  # noqa: PTH114
            return
    except OSError:
        return
    os.environ["HOME"] = home
    use_packages_of_home()


def use_packages_of_home() -> None:
    """Python has already looked for the user's packages, in the home of before."""
    import site  # loaded in every Python that comes here

    site.USER_BASE = site.USER_SITE = None
    if site.ENABLE_USER_SITE:
        site.addusersitepackages(None)


set_home()

if "seedbed.boot" not in sys.modules:
    packages = f"/opt/venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    sys.path.append(packages)  # for `seedbed` alone, whose modules import only what is loaded already
    try:
        import seedbed.boot  # noqa: F401 - importing it is all
    finally:
        sys.path.remove(packages)
