"""Locked wheels on disk, content addressed: `<cache>/wheels/<sha256>/<file name>`."""

import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from builder import commands, files, network, paths, scratch
from builder.console import step
from builder.errors import SeedbedError
from builder.layers.install import Wheel
from builder.lock.index import Pin, supported_tags

DOWNLOADS_AT_ONCE = 4


def fetch(pins: Iterable[Pin], python: str) -> dict[Pin, Wheel]:
    """Every wheel on disk, downloaded where the cache lacks it; raises `SeedbedError` naming the package."""
    wanted = list(pins)
    if missing := [pin for pin in wanted if find(pin) is None]:
        what = f"fetching {len(missing)} wheels"
        with step(what, len(missing)) as advance, ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            for _ in pool.map(partial(download, python=python), missing):
                advance()
    return {pin: wheel for pin in wanted if (wheel := find(pin))}


def find(pin: Pin) -> Wheel | None:
    """The cached file; it was proven to have the locked hash when it got its name."""
    path = next(folder_of(pin).glob("*.whl"), None)
    return Wheel(pin.name, pin.version, pin.sha256, path) if path else None


def folder_of(pin: Pin) -> Path:
    return paths.cache() / "wheels" / pin.sha256


def download(pin: Pin, python: str) -> None:
    """Let pip download one wheel, by hash, from the index the host is set up for."""
    folder = folder_of(pin)
    with scratch.folder(paths.cache()) as partial:
        requirement = partial / "requirement.txt"
        requirement.write_text(str(pin), encoding="utf-8")
        target = partial / "target"
        platforms = dict.fromkeys(tag.platform for tag in supported_tags(python) if tag.platform != "any")
        options = ["--python-version", python, "--implementation", "cp", "--only-binary", ":all:", "--no-cache-dir"]
        options += [option for platform in platforms for option in ("--platform", platform)]
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", *options]
        command += ["--no-deps", "--require-hashes", "--requirement", str(requirement), "--dest", str(target)]
        # In TMPDIR pip unpacks what it downloads: here it goes with the folder, whatever ends pip.
        environment = {**os.environ, "TMPDIR": str(partial)}
        done = commands.run(command, env=environment)
        if done.returncode:
            files.check_space(done.stderr, partial)
            raise SeedbedError(f"{pin.release}: {reason(pin, done.stderr)}")
        path = next(target.glob("*.whl"))
        files.check_sha256(path, pin.sha256, pin.release)
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / path.name)


def reason(pin: Pin, stderr: str) -> str:
    """Why pip did not fetch the wheel, in one line."""
    if other := re.search(r"Got\s+([0-9a-f]{64})", stderr):
        return f"the index serves a file with sha256 {other[1]}, the lock says {pin.sha256}; it was not used"
    return f"not fetched: {network.pip_reason(stderr)}"
