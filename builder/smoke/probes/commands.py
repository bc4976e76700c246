"""Starts every console script in a folder and names those that cannot start. Runs inside an image.

`python commands.py FOLDER`: exit status 1, and a line on stderr with each one's last words, if some fail.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ARGUMENTS = {"f2py": ["-v"]}  # has no --help
ENDS_WITH = {"saved_model_cli": 1}  # absl's --help
AT_ONCE = 2
LONGEST_START = 300  # seconds; TensorFlow's commands import TensorFlow


def main(folder: Path) -> int:
    scripts = [path for path in sorted(folder.iterdir()) if is_script(path)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        complaints = [complaint for complaint in pool.map(complaint_about, scripts) if complaint]
    print("; ".join(complaints) or f"{len(scripts)} commands start", file=sys.stderr if complaints else sys.stdout)
    return 1 if complaints or not scripts else 0


def is_script(path: Path) -> bool:
    """Links are other names of the interpreter."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def complaint_about(script: Path) -> str | None:
    command = [script, *ARGUMENTS.get(script.name, ["--help"])]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST_START, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{script.name}: {error}"
    if done.returncode == ENDS_WITH.get(script.name, 0) and "Traceback" not in done.stderr:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return f"{script.name}: {lines[-1] if lines else f'status {done.returncode}'}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
