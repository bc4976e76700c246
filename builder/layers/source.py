"""A wheel as the `installer` package reads it: files are inflated when asked for, and checked against RECORD.

Source: PyPA binary distribution format.
"""

import hashlib
import posixpath
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, cast

from installer.records import Hash, RecordEntry, parse_record_file
from installer.sources import WheelContentElement, WheelSource
from installer.utils import parse_entrypoints
from isal.isal_zlib import decompressobj
from isal.isal_zlib import error as InflateError

from builder.errors import SeedbedError
from builder.oci.tar import CHUNK, read_slice

HASHES = {"sha256", "sha384", "sha512"}
"""What RECORD may use; the specification rules out anything weaker."""

LARGEST_IN_MEMORY = 32 << 20
"""Bytes of a file that is read as a whole: a RECORD, a script."""

MOST_DEFLATED = 1032
"""Bytes that one byte of deflated data can stand for (RFC 1951: 258 in two bits)."""

LOCAL_HEADER = 30


@dataclass(frozen=True)
class Wheel:
    """A wheel on disk; `name` is normalized (PEP 503), `sha256` (hex) is what the lock says the file has."""

    name: str
    version: str
    sha256: str
    path: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Contents(WheelSource):
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
            member = Member(self._wheel, info, RecordEntry.from_elements(*row))
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
class Member:
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
            for chunk in inflated(self.wheel.path, self.info):
                hasher.update(chunk)
                yield chunk
        except InflateError as error:
            raise SeedbedError(f"{self._complaint()}: found broken data ({error})") from error
        found = record_hash(expected.name, hasher.digest())
        if found != expected:
            raise SeedbedError(f"{self._complaint()} {expected}, found {found}: delete the wheel and fetch it again")

    def _complaint(self) -> str:
        return f"{self.wheel}: expected {self.info.filename} in {self.wheel.path} to be as RECORD says"


def record_hash(name: str, digest: bytes) -> Hash:
    return Hash(name, urlsafe_b64encode(digest).decode().rstrip("="))


def inflated(path: Path, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content of a wheel's member, in chunks of limited size however well it is compressed."""
    with path.open("rb") as stream:
        packed = read_slice(stream, data_offset(stream, info), info.compress_size)
        if info.compress_type == zipfile.ZIP_STORED:
            yield from packed
            return
        inflater = decompressobj(-zlib.MAX_WBITS)
        for chunk in packed:
            while chunk:
                yield inflater.decompress(chunk, CHUNK)
                chunk = inflater.unconsumed_tail
        yield inflater.flush()


def data_offset(stream: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where a member's data starts: behind its local header, whose extra field may differ from the directory's."""
    stream.seek(info.header_offset)
    header = stream.read(LOCAL_HEADER)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return info.header_offset + LOCAL_HEADER + lengths
