"""Seedbed's own virtual environment, made from requirements.lock the first time a command runs.

Standard library only, and a syntax that Python 3.8 reads too, so that an old one is told what to do.
"""

import errno
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from builder import interrupts

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("SEEDBED_VENV") or ROOT / ".venv").absolute()
PYTHON = HOME / "bin" / "python"
STAMP = HOME / "requirements.sha256"
LOCK = ROOT / "requirements.lock"
OLDEST = (3, 11)


def enter() -> None:
    """Go on in the environment that requirements.lock describes: make it if need be, and start over inside it."""
    try:
        make_unless_ready()
        if Path(sys.prefix) != HOME:
            os.execv(PYTHON, [str(PYTHON), *sys.argv])
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        elsewhere = "put the checkout into a folder that you can write to, on a disk that lets programs run"
        remedy = "free some disk space" if full else elsewhere
        sys.exit(f"seedbed: {error.filename or PYTHON}: {error.strerror}; {remedy}")


def make_unless_ready() -> None:
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if ready(wanted):
        return
    refuse_an_old_python()
    HOME.parent.mkdir(parents=True, exist_ok=True)
    with HOME.with_name(f"{HOME.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not ready(wanted):
            make()
            STAMP.write_text(f"{wanted}\n{interpreter()}\n")


def ready(wanted: str) -> bool:
    """Whether the environment is that of this lock, and the Python that it was made of is still there."""
    if not (STAMP.exists() and PYTHON.exists()):
        return False
    lock, _, python = STAMP.read_text().partition("\n")
    return lock == wanted and Path(python.rstrip("\n")).is_file()


def interpreter() -> str:
    """The file of the Python that environments are made of here; an upgrade to another version takes it away."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def refuse_an_old_python() -> None:
    if sys.version_info < OLDEST:
        found, oldest = (".".join(map(str, version[:3])) for version in (sys.version_info, OLDEST))
        sys.exit(f"seedbed: {sys.executable} is Python {found}; expected {oldest} or newer, as in: python3.12 build.py")


def make() -> None:
    """Install the locked packages into a fresh environment; ends the process with one line where that fails."""
    from builder import network  # an old Python could not read it

    interrupts.nothing_begun = False
    print("seedbed: preparing .venv from requirements.lock", file=sys.stderr)
    try:
        import venv

        venv.create(HOME, clear=True, symlinks=True, with_pip=True)
    except ImportError:
        sys.exit(f"seedbed: {NO_VENV}")
    except subprocess.CalledProcessError as error:
        said = (error.output or b"").decode(errors="replace")
        sys.exit(f"seedbed: {HOME}: {NO_VENV if 'No module named ensurepip' in said else network.pip_reason(said)}")
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    done = subprocess.run([PYTHON, *install, "-r", LOCK], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(
            f"seedbed: pip could not install requirements.lock: {network.pip_reason(done.stderr)}; "
            "check the disk, the network, and pip's own settings (pip config list)"
        )


NO_VENV = "this Python cannot make virtual environments; on Debian: apt-get install python3-venv"
