"""What installing a wheel puts on disk, as tar entries, without putting it on disk.

The `installer` package does what an installer must (schemes, scripts, entry points, RECORD). Ours are only the two
ends: a source that inflates files when they are asked for and checks each against its hash in RECORD, and a
destination that collects entries.

Source: PyPA binary distribution format; recording installed projects.
"""

import configparser
import csv
import hashlib
import io
import posixpath
import struct
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, InvalidRecordEntry, RecordEntry, parse_record_file
from installer.scripts import Script
from installer.sources import WheelContentElement, WheelSource
from installer.utils import Scheme, construct_record_file, fix_shebang, parse_entrypoints

from builder.errors import SeedbedError
from builder.oci.tar import CHUNK, Entry, read_slice

try:
    from isal.isal_zlib import decompressobj
    from isal.isal_zlib import error as InflateError
except ImportError:  # inflating has one right answer, and zlib has it too, at half the speed
    from zlib import decompressobj
    from zlib import error as InflateError

HASHES = {"sha256", "sha384", "sha512"}
"""What RECORD may use; the specification rules out anything weaker."""

LARGEST_IN_MEMORY = 32 << 20
"""Bytes of a file that is read as a whole: a RECORD, a script."""

MOST_DEFLATED = 1032
"""Bytes that one byte of deflated data can stand for (RFC 1951: 258 in two bits)."""

_LOCAL_HEADER = 30


@dataclass(frozen=True)
class Wheel:
    """A wheel on disk; `name` is normalized (PEP 503), `sha256` (hex) is what the lock says the file has."""

    name: str
    version: str
    sha256: str
    path: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


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
            source = _Source(wheel, archive)
            destination = _Destination(wheel, target)
            install(source, destination, {"INSTALLER": b"seedbed\n"})
    except _MALFORMED as error:
        reason = " ".join(str(error).split())
        raise SeedbedError(f"expected a well-formed wheel, found {reason} in {wheel.path}") from error
    return list(destination.files.values())


_MALFORMED = (
    InstallerError, InvalidRecordEntry, zipfile.BadZipFile, configparser.Error, csv.Error, struct.error, zlib.error,
    EOFError, OSError, LookupError, ValueError, RuntimeError, AssertionError,
)  # fmt: skip
"""What zipfile and installer raise for what is no wheel; RuntimeError for encryption and for compressions unknown."""


class _Source(WheelSource):
    """A wheel whose files are opened only when they are read."""

    def __init__(self, wheel: Wheel, archive: zipfile.ZipFile) -> None:
        super().__init__(wheel.name, wheel.version)
        self._wheel, self._archive = wheel, archive

    @cached_property
    def dist_info_dir(self) -> str:
        found = {name.split("/")[0] for name in self._archive.namelist() if ".dist-info/" in name}
        found = {name for name in found if name.endswith(".dist-info")}
        if len(found) != 1:
            raise ValueError(f"{len(found)} .dist-info folders")
        return found.pop()

    @property
    def data_dir(self) -> str:
        return self.dist_info_dir.removesuffix(".dist-info") + ".data"

    @property
    def dist_info_filenames(self) -> list[str]:
        base = self.dist_info_dir + "/"
        return [name.removeprefix(base) for name in self._archive.namelist() if name.startswith(base)]

    def read_dist_info(self, filename: str) -> str:
        info = self._archive.getinfo(f"{self.dist_info_dir}/{filename}")
        if info.file_size > LARGEST_IN_MEMORY:
            raise ValueError(f"{info.file_size} bytes of {info.filename}")
        return self._archive.read(info).decode()

    def get_contents(self) -> Iterator[WheelContentElement]:
        self._refuse_overlap()
        records = {row[0]: row for row in parse_record_file(self.read_dist_info("RECORD").splitlines())}
        for info in self._archive.infolist():
            if not self._is_installed(info.filename):
                continue
            self._refuse_name(info.filename)
            row = records.get(info.filename, (info.filename, "", ""))
            member = _Member(self._wheel, info, RecordEntry.from_elements(*row))
            yield row, cast(BinaryIO, member), bool(info.external_attr >> 16 & 0o111)

    def _refuse_overlap(self) -> None:
        """Entries that share their data make petabytes of a file of megabytes (Fifield 2019)."""
        content = sum(info.file_size for info in self._archive.infolist())
        if content > MOST_DEFLATED * self._wheel.path.stat().st_size:
            raise ValueError(f"{content} bytes of content, more than a file of its size can hold,")

    def _refuse_name(self, name: str) -> None:
        """One that is not in its shortest form; of some, `installer` looks for the folder for ever."""
        if posixpath.normpath(name) != name or name == self.data_dir or not name.isprintable():
            raise ValueError(f"a file with the name {name!r}")

    def _is_installed(self, name: str) -> bool:
        """Not folders, RECORD (written anew), signatures of it, foreign bytecode, and old-style launchers."""
        folder, _, base = name.rpartition("/")
        if folder == self.dist_info_dir and base in ("RECORD", "RECORD.jws", "RECORD.p7s"):
            return False
        if folder == f"{self.data_dir}/scripts" and base in self._launchers:
            return False
        return base != "" and "__pycache__" not in folder.split("/")

    @cached_property
    def _launchers(self) -> set[str]:
        if "entry_points.txt" not in self.dist_info_filenames:
            return set()
        return {name for name, *_ in parse_entrypoints(self.read_dist_info("entry_points.txt"))}


@dataclass(frozen=True)
class _Member:
    """A file in a wheel, with its line of RECORD."""

    wheel: Wheel
    info: zipfile.ZipInfo
    record: RecordEntry

    def __post_init__(self) -> None:
        if self.record.hash_ is None or self.record.hash_.name not in HASHES:
            raise ValueError(f"no {'/'.join(sorted(HASHES))} in RECORD for {self.info.filename}")
        if self.info.header_offset < 0:
            raise ValueError(f"no place in the file for {self.info.filename}")
        if self.info.flag_bits & 1 or self.info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{self.info.filename} neither stored nor deflated")
        if self.record.size != self.info.file_size:
            raise ValueError(
                f"{self.info.file_size} bytes of {self.info.filename}, which RECORD gives {self.record.size}"
            )

    def chunks(self) -> Iterator[bytes]:
        """The content. Raises SeedbedError, at the latest after the last chunk, if it is not what RECORD says."""
        expected = cast(Hash, self.record.hash_)
        hasher = hashlib.new(expected.name)
        try:
            for chunk in _inflated(self.wheel.path, self.info):
                hasher.update(chunk)
                yield chunk
        except InflateError as error:
            raise SeedbedError(f"{self._complaint()}: found broken data ({error})") from error
        found = _record_hash(expected.name, hasher.digest())
        if found != expected:
            raise SeedbedError(f"{self._complaint()} {expected}, found {found}: delete the wheel and fetch it again")

    def _complaint(self) -> str:
        return f"{self.wheel}: expected {self.info.filename} in {self.wheel.path} to be as RECORD says"


@dataclass
class _Destination(WheelDestination):
    wheel: Wheel
    target: Target
    files: dict[str, InstalledFile] = field(default_factory=dict)

    def write_script(self, name: str, module: str, attr: str, section: Any) -> RecordEntry:
        _, text = Script(name, module, attr, section).generate(self.target.interpreter, "posix")
        return self._add_bytes("scripts", name, text, executable=True)

    def write_file(self, scheme: Scheme, path: str, stream: BinaryIO, is_executable: bool) -> RecordEntry:
        if not isinstance(stream, _Member):
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

    def _add_script(self, path: str, member: _Member) -> RecordEntry:
        if not next(member.chunks(), b"").startswith(b"#!python"):
            return self._add("scripts", replace(member.record, path=path), True, member.chunks)
        if member.info.file_size > LARGEST_IN_MEMORY:
            raise ValueError(f"{member.info.file_size} bytes of {member.info.filename}")
        with fix_shebang(io.BytesIO(b"".join(member.chunks())), self.target.interpreter) as stream:
            return self._add_bytes("scripts", path, stream.read(), executable=True)

    def _add_bytes(self, scheme: str, path: str, data: bytes, executable: bool) -> RecordEntry:
        record = RecordEntry(path, _record_hash("sha256", hashlib.sha256(data).digest()), len(data))
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


def _record_hash(name: str, digest: bytes) -> Hash:
    return Hash(name, urlsafe_b64encode(digest).decode().rstrip("="))


def _inflated(path: Path, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content of a wheel's member, in chunks of limited size however well it is compressed."""
    with path.open("rb") as stream:
        packed = read_slice(stream, _data_offset(stream, info), info.compress_size)
        if info.compress_type == zipfile.ZIP_STORED:
            yield from packed
            return
        inflater = decompressobj(-zlib.MAX_WBITS)
        for chunk in packed:
            while chunk:
                yield inflater.decompress(chunk, CHUNK)
                chunk = inflater.unconsumed_tail
        yield inflater.flush()


def _data_offset(stream: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where a member's data starts: behind its local header, whose extra field may differ from the directory's."""
    stream.seek(info.header_offset)
    header = stream.read(_LOCAL_HEADER)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return info.header_offset + _LOCAL_HEADER + lengths
