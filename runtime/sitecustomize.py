"""Seedbed's second carrier, in the standard library's folder: reaches virtual environments made inside the container.

Python imports it after all `.pth` files. It takes the place of Debian's, which only looks for apport, a package the
image does not have. Python goes on after an error in this file, unseeded, so it ends the process itself.
"""

import os
import sys


def set_home() -> None:
    """What set_home in entrypoint.sh does, for a Python started without it: by `docker exec`, or after setpriv."""
    found = os.environ.get("HOME") or "/"
    if found != "/" and os.access(found, os.W_OK):
        return
    name, home = account()
    if found not in ("/", "/root", "/home/seedbed", home):
        return
    home = f"{os.environ.get('TMPDIR') or '/tmp'}/home-{os.getuid()}"
    try:
        os.mkdir(home, 0o700)  # noqa: PTH102 - pathlib would cost every Python process milliseconds
    except FileExistsError:
        if os.lstat(home).st_uid != os.getuid() or os.path.islink(home) or not os.path.isdir(home):  # noqa: PTH112, PTH114
            return
    except OSError:
        return
    os.environ["HOME"], os.environ["USER"] = home, name
    use_packages_of_home()


def account() -> tuple[str, str]:
    """The user's name and home in /etc/passwd; a home that is nobody's where there is no such user."""
    import pwd

    try:
        found = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid-{os.getuid()}", "/"
    return found.pw_name, found.pw_dir


def use_packages_of_home() -> None:
    """Python has already looked for the user's packages, in the home of before."""
    import site  # loaded in every Python that comes here

    site.USER_BASE = site.USER_SITE = None
    if site.ENABLE_USER_SITE:
        site.addusersitepackages(None)


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

set_home()  # last: the hook is there whatever happens in it
