"""Secrets to look for: in files, in what is compressed in them, and in the arguments of running programs."""

import base64
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import zstandard

from builder.oci.images import decompressed

CHUNK = 1 << 20
ZSTD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
EVERY = 0.01
"""Seconds between two looks at the programs that run."""


def forms_of(user: str, secret: str) -> list[bytes]:
    """How the secret may be written: as it is, and with its user as HTTP and Docker's config.json have it."""
    return [secret.encode(), base64.b64encode(f"{user}:{secret}".encode()).rstrip(b"=")]


def holders(folder: Path, needles: Sequence[bytes]) -> list[Path]:
    """The files below `folder` that have one of the needles, as they are or decompressed. Links are not followed."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in files if any(has(stream, needles) for stream in streams_of(path))]


def streams_of(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        yield file
        if head == ZSTD or head.startswith(GZIP):
            file.seek(0)
            yield decompressed(file, "zstd" if head == ZSTD else "gzip")


def has(stream: BinaryIO, needles: Sequence[bytes]) -> bool:
    longest, tail = max(map(len, needles)), b""
    with suppress(EOFError, OSError, zstandard.ZstdError):
        while chunk := stream.read(CHUNK):
            text = tail + chunk
            if any(needle in text for needle in needles):
                return True
            tail = text[-longest:]
    return False


@contextmanager
def watching(needles: Sequence[bytes]) -> Iterator[set[bytes]]:
    """The command lines with one of the needles, of programs that run in the block; filled while it goes on."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(EVERY):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    line = path.read_bytes()
                    if any(needle in line for needle in needles):
                        seen.add(line)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
