"""A copy of the working folder for each run: a script that resumes finds its own checkpoints, and nobody else's."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

MOST = 4 << 30  # bytes
LINKED = (".git",)  # and virtual environments: large, and no training writes there
ENVIRONMENT = "pyvenv.cfg"


def copy(folder: Path, to: Path, without: tuple[Path, ...] = ()) -> None:
    """Copy what is below the folder, except `without`. ValueError: it is too much to copy for each run.

    Links stay links; one that leads out of the folder leads to the same place. FIFOs and devices are left out.
    """
    if (size := sum(entry.stat().st_size for entry in regular(folder, without))) > MOST:
        raise ValueError(
            f"{folder} has {size >> 30} GiB, too much to copy for each run: start in a smaller folder, or have the "
            "script write all its files to a folder that the command names as '{folder}', as in --output '{folder}'"
        )
    to.mkdir()
    for entry in entries(folder, without):
        target = to / entry.relative_to(folder)
        if is_linked(entry):
            target.symlink_to(entry)
        elif entry.is_symlink():
            target.symlink_to(destination(entry, folder))
        elif entry.is_dir():
            target.mkdir()
        elif entry.is_file():
            shutil.copy2(entry, target)


def entries(folder: Path, without: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Everything in it, a folder before what it holds; not what `is_linked` holds."""
    for entry in sorted(folder.iterdir()):
        if entry in without:
            continue
        yield entry
        if entry.is_dir() and not entry.is_symlink() and not is_linked(entry):
            yield from entries(entry, without)


def regular(folder: Path, without: tuple[Path, ...] = ()) -> Iterator[Path]:
    return (entry for entry in entries(folder, without) if stat.S_ISREG(entry.lstat().st_mode))


def is_linked(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink() and (entry.name in LINKED or (entry / ENVIRONMENT).exists())


def destination(link: Path, folder: Path) -> str:
    """Where a link in the copy leads: within the folder to the copy's own file, else to the same place."""
    text = str(link.readlink())
    target = Path(os.path.normpath(link.parent / text))
    return text if target.is_relative_to(folder) and not Path(text).is_absolute() else str(target)


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each regular file was last written, and its size."""
    found = {}
    for entry in regular(folder):
        status = entry.lstat()
        found[str(entry.relative_to(folder))] = (status.st_mtime_ns, status.st_size)
    return found


def written(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """The files that are new or changed; Python's own caches do not count."""
    changed = (name for name, status in after.items() if before.get(name) != status)
    return tuple(sorted(name for name in changed if "__pycache__" not in Path(name).parts))
