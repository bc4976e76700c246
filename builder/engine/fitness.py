"""Whether the embedded engine can run on this host, with its data in a given folder, and what to do if not."""

import re
import stat
from pathlib import Path

from builder import commands
from builder.debian import archive as debian
from builder.debian import sources

OLDEST_RELEASE = 12  # trixie's Docker needs glibc 2.34


def host_supported() -> str | None:
    """None where the embedded engine can run, else why not and what to do."""
    if reason := debian.host_supported():
        return reason
    release = re.search(r'^VERSION_ID="?(\d+)', sources.OS_RELEASE.read_text(), re.MULTILINE)
    if release is None or int(release[1]) < OLDEST_RELEASE:
        return f"it needs Debian {OLDEST_RELEASE} or newer: install Docker by other means"
    return None


def unsuited(folder: Path) -> str | None:
    if "," in str(folder):
        return f"containerd cannot mount what is in {folder}, for the comma: set SEEDBED_CACHE to a path without one"
    if commands.run(["stat", "--file-system", "--format=%T", folder]).stdout.strip() != "overlayfs":
        return None
    return f"{folder} is on an overlay file system, which cannot hold containers': set SEEDBED_CACHE to a disk's folder"


def open_to_others(folder: Path) -> str | None:
    """Why somebody but root could change what is in the folder, or what is called so, and what to do; None: nobody can.

    In a folder with the sticky bit, such as /tmp, nobody can touch what is another's.
    """
    for place in (folder, *folder.parents, *folder.resolve().parents):
        found = place.stat()
        writers = stat.S_IWOTH | (stat.S_IWGRP if found.st_gid else 0)
        shared = found.st_mode & writers and (place == folder or not found.st_mode & stat.S_ISVTX)
        if found.st_uid or shared:
            whose = "others may write to" if shared else f"user {found.st_uid} owns"
            return f"{whose} {place}: set SEEDBED_CACHE to a folder of root's, in folders of root's"
    return None
