"""What installing a wheel puts on disk, as tar entries, without putting it on disk.

The `installer` package does what an installer must (schemes, scripts, entry points, RECORD). Ours are only the two
ends: where it reads from (`builder.layers.source`), and a destination that collects entries.

Source: PyPA recording installed projects.
"""

import configparser
import csv
import hashlib
import io
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, cast

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry, RecordEntry
from installer.scripts import Script
from installer.utils import Scheme, construct_record_file, fix_shebang

from builder.errors import SeedbedError
from builder.layers.source import LARGEST_IN_MEMORY, Contents, Member, Wheel, record_hash
from builder.oci.tar import Entry


@dataclass(frozen=True)
class Target:
    """Where wheels are installed: a virtual environment at `prefix` for Python `python` ("3.11")."""

    prefix: str
    python: str

    @property
    def interpreter(self) -> str:
        return f"{self.prefix}/bin/python"

    def folder(self, scheme: str, project: str) -> str:
        """The folder of an installation scheme, as sysconfig's "venv" scheme has it."""
        return {
            "purelib": f"{self.prefix}/lib/python{self.python}/site-packages",
            "platlib": f"{self.prefix}/lib/python{self.python}/site-packages",
            "headers": f"{self.prefix}/include/site/python{self.python}/{project}",
            "scripts": f"{self.prefix}/bin",
            "data": self.prefix,
        }[scheme]


@dataclass(frozen=True)
class InstalledFile:
    """A file that `wheel` installs; `hash` as RECORD writes it."""

    entry: Entry
    wheel: Wheel
    hash: str

    def same_as(self, other: "InstalledFile") -> bool:
        return (self.hash, self.entry.mode) == (other.hash, other.entry.mode)


def installed_files(wheel: Wheel, target: Target) -> list[InstalledFile]:
    """All that `wheel` installs. Contents are inflated, and checked against RECORD, when they are read.

    Raises SeedbedError, naming the wheel, where it is not a well-formed wheel or reaches outside its folders.
    """
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            source = Contents(wheel, archive)
            destination = Destination(wheel, target)
            install(source, destination, {"INSTALLER": b"seedbed\n"})
    except MALFORMED as error:
        raise SeedbedError(f"expected a well-formed wheel, found {error} in {wheel.path}") from error
    return list(destination.files.values())


MALFORMED = (
    InstallerError, InvalidRecordEntry, zipfile.BadZipFile, configparser.Error, csv.Error, struct.error, zlib.error,
    EOFError, OSError, LookupError, ValueError, RuntimeError, AssertionError,
)  # fmt: skip
"""What zipfile and installer raise for what is no wheel; RuntimeError for encryption and for compressions unknown."""


@dataclass
class Destination(WheelDestination):
    wheel: Wheel
    target: Target
    files: dict[str, InstalledFile] = field(default_factory=dict)

    def write_script(self, name: str, module: str, attr: str, section: Any) -> RecordEntry:
        _, text = Script(name, module, attr, section).generate(self.target.interpreter, "posix")
        return self._add_bytes("scripts", name, text, executable=True)

    def write_file(self, scheme: Scheme, path: str, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        if not isinstance(stream, Member):
            return self._add_bytes(scheme, path, stream.read(), is_executable)
        if scheme == "scripts":
            return self._add_script(path, stream)
        return self._add(scheme, replace(stream.record, path=path), is_executable, stream.chunks)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        root = self.target.folder(scheme, self.wheel.name)

        def prefix(of: str) -> str | None:
            folder = self.target.folder(of, self.wheel.name)
            return None if folder == root else posixpath.relpath(folder, root) + "/"

        with construct_record_file(records, prefix) as stream:
            self._add_bytes(scheme, record_file_path, stream.read(), executable=False)

    def _add_script(self, path: str, member: Member) -> RecordEntry:
        if not next(member.chunks(), b"").startswith(b"#!python"):
            return self._add("scripts", replace(member.record, path=path), True, member.chunks)
        if member.info.file_size > LARGEST_IN_MEMORY:
            raise ValueError(f"{member.info.file_size} bytes of {member.info.filename}")
        with fix_shebang(io.BytesIO(b"".join(member.chunks())), self.target.interpreter) as stream:
            return self._add_bytes("scripts", path, stream.read(), executable=True)

    def _add_bytes(self, scheme: str, path: str, data: bytes, executable: bool) -> RecordEntry:
        record = RecordEntry(path, record_hash("sha256", hashlib.sha256(data).digest()), len(data))
        return self._add(scheme, record, executable, lambda: (data,))

    def _add(
        self, scheme: str, record: RecordEntry, executable: bool, content: Callable[[], Iterable[bytes]]
    ) -> RecordEntry:
        folder = self.target.folder(scheme, self.wheel.name)
        path = f"{folder}/{record.path}"
        if posixpath.normpath(path) != path:
            raise ValueError(f"the path {record.path!r}, which may lead out of {folder},")
        if path in self.files:
            raise ValueError(f"{path} twice")
        mode = 0o755 if executable else 0o644
        entry = Entry(path.lstrip("/"), mode=mode, size=cast(int, record.size), content=content)
        self.files[path] = InstalledFile(entry, self.wheel, str(record.hash_))
        return record
