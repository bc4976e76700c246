"""Deterministic layer tars: sorted entries, fixed times, owners as given, compressed by zstd in one pass.

Headers are written here and not by `tarfile`, whose bytes have changed between Python releases: a layer's
digest may depend on what is in it, on `FORMAT` and on zstd's version, and on nothing else of this machine.

Source: POSIX.1-2017, pax interchange format (ustar header block, extended header records).
"""

import struct
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import zstandard

from builder.errors import SeedbedError
from builder.oci.images import unpacked
from builder.oci.store import LAYER_TYPE, Hashing, Layer, Store, hash_of

FORMAT = 1
"""Raise it with any change to the bytes of layers, here, in `install` or in `compiler`: locks are then stale, and the
cached layers made anew."""

CHUNK = 1 << 20
"""Bytes handled at once."""

XATTR = "SCHILY.xattr."
"""How the pax record of an extended attribute starts."""

_BLOCK = 512
# name, mode, uid, gid, size, mtime, checksum, type, linkname, magic + version, uname, gname, major, minor, prefix
_USTAR = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")


@dataclass(frozen=True)
class Entry:
    """One member: `path` without a leading slash, `kind` a tar type, `content` gives `size` bytes in chunks.

    `link` is the target of a symbolic link, or the path of the member a hard link shares its content with.
    """

    path: str
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    content: Callable[[], Iterable[bytes]] = tuple
    link: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def file(path: str, data: bytes, *, mode: int = 0o644) -> Entry:
    return Entry(path, mode=mode, size=len(data), content=lambda: (data,))


def directory(path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(path, kind=tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, kind=tarfile.SYMTYPE, mode=0o777, link=target)


def write_layer(store: Store, entries: Iterable[Entry], *, epoch: int, level: int, what: str) -> Layer:
    """Write `entries`, in any order, as a zstd-compressed layer into `store`.

    Directories above them that are not among them are added, 0755 and root's. `epoch` (seconds since 1970) is
    every entry's mtime, `level` zstd's. Raises SeedbedError where two entries have one path, a path leaves the root,
    or content is not as long as it said.
    """
    compressor = zstandard.ZstdCompressor(level=level, threads=1)  # any number gives these bytes, but for 0
    with store.new_blob() as blob:
        with compressor.stream_writer(blob, closefd=False) as compressed:
            tar = Hashing(compressed.write)
            for entry in _arranged(entries):
                _add(tar, entry, epoch)
            tar.write(bytes(2 * _BLOCK))
        return Layer(blob.commit(LAYER_TYPE), tar.digest, tar.size, what)


def tar_to_layer(
    store: Store,
    tar: Path,
    *,
    epoch: int,
    level: int,
    what: str,
    keep: Callable[[str], bool] = lambda path: True,
) -> Layer:
    """Write the uncompressed `tar` anew: owners, modes, links, devices, xattrs stay; every mtime is `epoch`.

    `keep` says of a path (no leading slash) whether it goes in.
    """
    with tar.open("rb") as stream:
        members = {path: member for member in _members(stream) if (path := _relative(member.name)) and keep(path)}
        entries = [_entry(path, member, stream) for path, member in members.items()]
        return write_layer(store, _links_behind_files(entries), epoch=epoch, level=level, what=what)


@contextmanager
def opened(layer: Path) -> Iterator[tarfile.TarFile]:
    """The tar in a layer's blob, to be read once from front to back; raises SeedbedError if it is broken."""
    try:
        with layer.open("rb") as blob, unpacked(blob, LAYER_TYPE) as tar:
            yield tar
    except (zstandard.ZstdError, tarfile.TarError, EOFError) as error:
        raise SeedbedError(f"{layer}: broken ({error}): delete that file and build again") from error


def layer_key(kind: str, inputs: Mapping[str, object]) -> str:
    """The name a layer is remembered by: a hash of what goes into it and of everything that writes it."""
    writer = {"format": FORMAT, "zstandard": zstandard.__version__, "zstd": zstandard.ZSTD_VERSION}
    return hash_of({"kind": kind, "inputs": inputs, "writer": writer})


def read_slice(stream: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    """The `size` bytes at `offset`, in chunks."""
    while size > 0:
        stream.seek(offset)
        chunk = stream.read(min(CHUNK, size))
        if not chunk:
            raise SeedbedError(f"expected {size} more bytes at {offset} of {stream.name}, found its end")
        yield chunk
        offset, size = offset + len(chunk), size - len(chunk)


def _add(tar: Hashing, entry: Entry, epoch: int) -> None:
    tar.write(_header(entry, epoch))
    end = tar.size + entry.size
    for chunk in entry.content():
        if tar.size + len(chunk) > end:
            raise SeedbedError(f"expected {entry.size} bytes for {entry.path}, found more")
        tar.write(chunk)
    if tar.size < end:
        raise SeedbedError(f"expected {entry.size} bytes for {entry.path}, found {end - tar.size} fewer")
    tar.write(bytes(-entry.size % _BLOCK))


def _arranged(entries: Iterable[Entry]) -> list[Entry]:
    """The entries and their missing parents, each directory before what is in it."""
    by_path: dict[str, Entry] = {}
    for entry in entries:
        if "\0" in entry.path or any(part in ("", ".", "..") for part in entry.path.split("/")):
            raise SeedbedError(f"expected a path inside the image, without a leading slash, found {entry.path!r}")
        if by_path.setdefault(entry.path, entry) is not entry:
            raise SeedbedError(f"expected each path once in a layer, found {entry.path} twice")
    for path in list(by_path):
        for parent in _parents(path):
            above = by_path.setdefault(parent, directory(parent))
            if above.kind != tarfile.DIRTYPE:
                raise SeedbedError(f"expected a directory at {parent}, found a file and, below it, {path}")
    return sorted(by_path.values(), key=lambda entry: _encoded(entry.path).split(b"/"))


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _relative(path: str) -> str:
    """`path` without leading or doubled slashes and dots; "" for the root itself."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _encoded(text: str) -> bytes:
    """The bytes of a name, whatever the locale."""
    return text.encode("utf-8", "surrogateescape")


def _members(tar: BinaryIO) -> list[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=tar, mode="r:", encoding="utf-8") as archive:
            return archive.getmembers()
    except tarfile.ReadError as error:
        raise SeedbedError(f"expected a whole tar, found {error} in {tar.name}: make it again") from error


def _entry(path: str, member: tarfile.TarInfo, stream: BinaryIO) -> Entry:
    regular = member.isreg()
    if member.issparse():
        raise SeedbedError(f"expected plain files, found the sparse file {path} in {stream.name}")
    return Entry(
        path,
        kind=tarfile.REGTYPE if regular else member.type,
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        size=member.size if regular else 0,
        content=(lambda: read_slice(stream, member.offset_data, member.size)) if regular else tuple,
        link=_relative(member.linkname) if member.islnk() else member.linkname,
        device=(member.devmajor, member.devminor),
        xattrs={
            name.removeprefix(XATTR): _encoded(value)
            for name, value in member.pax_headers.items()
            if name.startswith(XATTR)
        },
    )


def _links_behind_files(entries: list[Entry]) -> Iterator[Entry]:
    """Make the first of the paths that share a content, as sorted, the file, and the others links to it."""
    files = {entry.path: entry for entry in entries if entry.kind != tarfile.LNKTYPE}
    names: dict[str, list[str]] = {}
    for entry in entries:
        if entry.kind == tarfile.LNKTYPE:
            names.setdefault(entry.link, [entry.link]).append(entry.path)
    for path, entry in files.items():
        first, *others = sorted(names.get(path, [path]), key=lambda name: _encoded(name).split(b"/"))
        yield replace(entry, path=first)
        for other in others:
            yield replace(entry, path=other, kind=tarfile.LNKTYPE, size=0, content=tuple, link=first)
    if lost := sorted(names.keys() - files.keys()):
        raise SeedbedError(f"expected {lost[0]}, which {names[lost[0]][1]} is a hard link to, found no such file")


def _header(entry: Entry, epoch: int) -> bytes:
    """The member's header block, behind a pax header where a field does not fit into it."""
    path, link = _path(entry), _encoded(entry.link)
    pax = {f"{XATTR}{name}": value for name, value in entry.xattrs.items()}
    if len(path) > 100 or not path.isascii():
        pax["path"] = path
    if len(link) > 100 or not link.isascii():
        pax["linkpath"] = link
    numbers = {"uid": entry.uid, "gid": entry.gid, "size": entry.size}
    for name, number in numbers.items():
        if number >= 8 ** (11 if name == "size" else 7):
            pax[name], numbers[name] = str(number).encode(), 0
    block = _block(replace(entry, **numbers), epoch)
    return _pax_header(pax, epoch) + block if pax else block


def _pax_header(records: Mapping[str, bytes], epoch: int) -> bytes:
    data = b"".join(_pax_record(name.encode(), value) for name, value in sorted(records.items()))
    return _block(Entry("PaxHeader", tarfile.XHDTYPE, size=len(data)), epoch) + data + bytes(-len(data) % _BLOCK)


def _pax_record(name: bytes, value: bytes) -> bytes:
    """`LENGTH NAME=VALUE\\n`, where LENGTH counts its own digits too."""
    rest = b" " + name + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _path(entry: Entry) -> bytes:
    return _encoded(entry.path + "/" if entry.kind == tarfile.DIRTYPE else entry.path)


def _block(entry: Entry, epoch: int) -> bytes:
    """The header block; a name that does not fit is cut off."""
    path, link, (major, minor) = _path(entry), _encoded(entry.link), entry.device

    def packed(checksum: bytes) -> bytes:
        return _USTAR.pack(
            path, b"%07o" % entry.mode, b"%07o" % entry.uid, b"%07o" % entry.gid,
            b"%011o" % entry.size, b"%011o" % epoch, checksum, entry.kind, link,
            b"ustar\x0000", b"", b"", b"%07o" % major, b"%07o" % minor, b"",
        )  # fmt: skip

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))
