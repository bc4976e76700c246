"""Seedbed's own virtual environment, made from requirements.lock the first time a verb runs. Standard library only."""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"


def enter() -> None:
    """Go on in the environment that requirements.lock describes: make it if need be, and start over inside it.

    `smoke --host` does without, and goes no further: it has to work where no package can be fetched.
    """
    if "smoke" in sys.argv and "--host" in sys.argv:
        from builder import host

        sys.exit(host.main(sys.argv[1:]))
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    stamp = HOME / "requirements.sha256"
    if not matches(stamp, wanted):
        with (ROOT / ".venv.lock").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if not matches(stamp, wanted):
                make()
                stamp.write_text(wanted)
    if Path(sys.prefix) != HOME:
        python = HOME / "bin" / "python"
        os.execv(python, [str(python), *sys.argv])


def matches(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted


def make() -> None:
    """Install the locked packages into a fresh environment; ends the process with one line where that fails."""
    print("seedbed: preparing .venv from requirements.lock", file=sys.stderr)
    try:
        venv.create(HOME, clear=True, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("seedbed: this Python cannot make virtual environments; on Debian: apt-get install python3-venv")
    install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    done = subprocess.run([HOME / "bin" / "python", *install, "-r", LOCK], check=False)
    if done.returncode:
        sys.exit("seedbed: pip could not install requirements.lock (its message stands above)")
