"""Locked wheels on disk, content addressed: `<cache>/wheels/<sha256>/<file name>`."""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builder import paths
from builder.errors import SeedbedError
from builder.lock import Wheel, one_line, supported_tags

DOWNLOADS_AT_ONCE = 4


def fetch(wheels: Iterable[Wheel], python: str, log: Callable[[str], None]) -> dict[Wheel, Path]:
    """The file of every wheel, downloaded where the cache lacks it; raises `SeedbedError` naming the package."""
    wanted = list(wheels)
    missing = [wheel for wheel in wanted if find(wheel) is None]
    if missing:
        log(f"fetching {len(missing)} of {len(wanted)} wheels")
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(lambda wheel: download(wheel, python), missing))
    return {wheel: path for wheel in wanted if (path := find(wheel))}


def find(wheel: Wheel) -> Path | None:
    """The cached file; it was proven to have the wheel's hash when it got its name."""
    return next(folder_of(wheel).glob("*.whl"), None)


def folder_of(wheel: Wheel) -> Path:
    return paths.cache() / "wheels" / wheel.sha256


def download(wheel: Wheel, python: str) -> None:
    """Let pip download one wheel, by hash, from the index the host is set up for."""
    folder = folder_of(wheel)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="partial-") as scratch:
        requirement = Path(scratch, "requirement.txt")
        requirement.write_text(str(wheel), encoding="utf-8")
        target = Path(scratch, "target")
        platforms = dict.fromkeys(tag.platform for tag in supported_tags(python) if tag.platform != "any")
        options = ["--python-version", python, "--implementation", "cp", "--only-binary", ":all:", "--no-cache-dir"]
        options += [option for platform in platforms for option in ("--platform", platform)]
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", *options]
        command += ["--no-deps", "--require-hashes", "--requirement", str(requirement), "--dest", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SeedbedError(f"{wheel.name}=={wheel.version}: not fetched: {one_line(done.stderr)[-600:]}")
        check(wheel, next(target.glob("*.whl")))
        if not folder.exists():
            target.replace(folder)


def check(wheel: Wheel, path: Path) -> None:
    """Raise `SeedbedError` unless the file at `path` has the locked hash."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise SeedbedError(
            f"{wheel.name}=={wheel.version}: {path.name} has sha256 {found}, the lock says {wheel.sha256}"
        )
