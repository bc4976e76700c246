"""What an image holds: Debian packages, wheels, files and settings, read from its layers without unpacking them.

Sources: OCI image specification 1.1, layer.md (whiteouts); dpkg-query(1), the status file;
PyPA, Recording installed projects.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from packaging.utils import canonicalize_name

from builder.debian.sources import stanzas
from builder.errors import SeedbedError
from builder.lock.packages import ARCHITECTURE
from builder.oci.images import KINDS, UNREADABLE, Image
from builder.oci.tar import CHUNK
from builder.reproduce.difference import path_of, shown_value

STATUS = "/var/lib/dpkg/status"
DIST_INFO = re.compile(r".*/site-packages/(?P<name>[^/-]+)-(?P<version>[^/-]+)\.dist-info/METADATA")
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
LARGEST_STATUS = 64 << 20
MOST_FILES = 4_000_000
"""Far more than any image has: one that claims more is made to fill the memory."""

SETTINGS = {
    "User": "user",
    "Entrypoint": "entrypoint",
    "Cmd": "command",
    "WorkingDir": "working folder",
}
"""Names of the configuration's keys for people; all others, but ENV and labels, go by their own."""


@dataclass(frozen=True)
class File:
    """A file of an image: its size in bytes; in `state` all that its tar says of it but the time, and its sha256."""

    size: int
    state: str


@dataclass(frozen=True)
class Inventory:
    """Names and versions, names and values; `layers` gives the compressed size of each by its digest, in bytes.

    `files` and `layers` are None where locks are all there is, and only there `programs` are known: the wheels that
    third-party programs need beside the image's.
    """

    debian: Mapping[str, str]
    wheels: Mapping[str, str]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    settings: Mapping[str, str]
    files: Mapping[str, File] | None = None
    layers: Mapping[str, int] | None = None
    programs: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Layer:
    """What a layer adds, by path, and what it takes away: paths, and folders whose content from below it hides."""

    files: dict[str, File] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    status: str | None = None


Layers = dict[str, Layer]
"""Layers that are read already, by diff ID: two images share most of theirs."""


def of_image(image: Image, known: Layers) -> Inventory:
    """Read every layer that is not `known`, and note it there. Raises SeedbedError where one cannot be read."""
    new = {diff_id: index for index, diff_id in enumerate(image.diff_ids) if diff_id not in known}
    known |= read_layers(image, new.values())
    files: dict[str, File] = {}
    folders: set[str] = set()
    status = ""
    for diff_id in image.diff_ids:
        layer = known[diff_id]
        put_on_top(files, folders, layer)
        status = status if layer.status is None else layer.status
    settings, environment = configured(image.config.get("config") or {})
    return Inventory(
        debian_packages(status if STATUS in files else ""),
        wheels(files),
        environment,
        image.labels,
        settings,
        files,
        {layer["digest"]: layer["size"] for layer in image.manifest["layers"]},
    )


def read_layers(image: Image, indices: Iterable[int]) -> dict[str, Layer]:
    """By diff ID."""
    found: dict[str, Layer] = {}
    for index in indices:
        try:
            with image.layer(index) as tar:
                found[image.diff_ids[index]] = read_layer(tar)
        except UNREADABLE as error:
            raise SeedbedError(f"{image.name}: {image.layer_name(index)} cannot be read: {error}") from None
    return found


def read_layer(tar: tarfile.TarFile) -> Layer:
    found = Layer()
    for member in tar:
        take(found, tar, member)
        if len(found.files) > MOST_FILES:
            raise ValueError(f"more than {MOST_FILES} files")
    return found


def take(layer: Layer, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = path_of(member)
    folder, _, name = path.rpartition("/")
    if name == OPAQUE:
        layer.emptied.add(folder)
    elif name.startswith(WHITEOUT):
        layer.removed.add(f"{folder}/{name.removeprefix(WHITEOUT)}")
    elif member.isdir():
        layer.folders.add(path)
    else:
        content = cast(BinaryIO, tar.extractfile(member)) if member.isreg() else io.BytesIO()
        size = member.size if member.isreg() else 0
        if path == STATUS:
            if size > LARGEST_STATUS:
                raise ValueError(f"{STATUS} is larger than any list of packages")
            status = content.read()
            layer.status, content = status.decode(errors="replace"), io.BytesIO(status)
        digest = hashlib.sha256()
        while chunk := content.read(CHUNK):
            digest.update(chunk)
        kind = KINDS.get(member.type, repr(member.type))
        facts = [kind, member.linkname, f"{member.mode:04o}", f"{member.uid}:{member.gid}", digest.hexdigest()]
        layer.files[path] = File(size, " ".join(facts))


def put_on_top(files: dict[str, File], folders: set[str], layer: Layer) -> None:
    """What a container sees once this layer is on top."""
    replaced = layer.files.keys() & folders  # a folder, by a file
    if hiding := {f"{path}/" for path in layer.removed | layer.emptied | replaced}:
        for path in [path for path in files if is_below(path, hiding)]:
            del files[path]
    for path in (layer.removed | layer.folders) & files.keys():
        del files[path]
    folders -= replaced
    folders |= layer.folders
    files |= layer.files


def is_below(path: str, folders: set[str]) -> bool:
    at = path.find("/", 1)
    while at >= 0:
        if path[: at + 1] in folders:
            return True
        at = path.find("/", at + 1)
    return "/" in folders  # all that is below the root


def debian_packages(status: str) -> dict[str, str]:
    """Installed packages and their versions; those of another architecture as `name:architecture`."""
    found = {}
    for fields in stanzas(status):
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            architecture = fields.get("Architecture", "all")
            foreign = "" if architecture in ("all", ARCHITECTURE) else f":{architecture}"
            found[fields["Package"] + foreign] = fields.get("Version", "none")
    return found


def wheels(files: Iterable[str]) -> dict[str, str]:
    """Installed distributions and their versions, as their `.dist-info` folders name them."""
    found = (matched for path in files if (matched := DIST_INFO.fullmatch(path)))
    return {str(canonicalize_name(one["name"])): one["version"] for one in found}


def configured(config: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings, and ENV."""
    entries = config.get("Env") or ()
    variables = [str(entry).partition("=") for entry in (entries if isinstance(entries, list) else [entries])]
    settings = {
        SETTINGS.get(key, key): shown_value(value)
        for key, value in config.items()
        if key not in ("Env", "Labels") and value not in (None, "", [], {})
    }
    return settings, {name: value for name, _, value in variables}
