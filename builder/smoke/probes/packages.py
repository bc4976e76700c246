"""Installs a package in every way that this user has, without a network. Runs inside an image, as any user.

Exit status 1, with a line on stderr, if a way fails or gives a Python that is not seeded.
"""

import base64
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

NAME = "seedbed_probe"
COMMAND = "seedbed-probe"
RUN = f"import random, numpy, {NAME}; print(random.random(), numpy.random.rand())"
RUN_PLAIN = f"import random, {NAME}; print(random.random())"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        wheel = write_wheel(Path(folder))
        here, plain = Path(folder, "system"), Path(folder, "plain")
        expected = output(sys.executable, "-c", RUN.replace(f", {NAME}", ""))
        install("pip", wheel)
        check("pip install", output("python", "-c", RUN), expected)
        check("its command", output(COMMAND), "started")
        output("pip", "uninstall", "--yes", "--quiet", NAME)
        install("pip", wheel, *([] if os.getuid() == 0 else ["--user"]))
        check("pip install --user", output("python", "-c", RUN), expected)
        output("python", "-m", "venv", "--system-site-packages", str(here))
        install(str(here / "bin" / "pip"), wheel, "--ignore-installed")
        check("python -m venv --system-site-packages", output(str(here / "bin" / "python"), "-c", RUN), expected)
        output("python", "-m", "venv", str(plain))
        install(str(plain / "bin" / "pip"), wheel)
        seen = output(str(plain / "bin" / "python"), "-c", RUN_PLAIN)
        check("python -m venv", seen, expected.split()[0])
    return 0


def write_wheel(folder: Path) -> Path:
    """A wheel with a module and a command."""
    information = f"{NAME}-1.dist-info"
    files = {
        f"{NAME}.py": "def main():\n    print('started')\n",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: seedbed\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": f"[console_scripts]\n{COMMAND} = {NAME}:main\n",
    }
    record = "".join(f"{path},sha256={digest(text)},{len(text)}\n" for path, text in files.items())
    wheel = folder / f"{NAME}-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in (files | {f"{information}/RECORD": f"{record}{information}/RECORD,,\n"}).items():
            archive.writestr(path, text)
    return wheel


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def install(pip: str, wheel: Path, *flags: str) -> None:
    output(pip, "install", "--quiet", "--no-index", *flags, str(wheel))


def output(*command: str) -> str:
    """What a command prints; `SystemExit` with its last words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:80]}: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]}")
    return done.stdout.strip()


def check(way: str, found: str, expected: str) -> None:
    if found != expected:
        sys.exit(f"{way}: expected {expected!r}, found {found!r}")


if __name__ == "__main__":
    sys.exit(main())
