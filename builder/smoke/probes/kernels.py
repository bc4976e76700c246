"""Prints for which GPUs the image holds CUDA kernels, as a JSON list in the form of `gpus` in image.yaml.

Runs inside an image; needs no GPU. Of each package the library with the most device code counts: a GPU is listed if
each fat binary in it has code for that GPU, for all packages with device code. NVIDIA's own packages do not count:
their libraries choose among kernels, and some compile at run time.
"""

import json
import mmap
import struct
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

SECTION = b".nv_fatbin"
"""Where nvcc and clang (CGCUDANV.cpp) put device code, linked; `__nv_relfatbin` has some of it before it is linked."""
# A fat binary: this header, then entries, each a header and its code. The first fields are those of CUDA's fatbinary.h;
# those of an entry are as github.com/jiegec/fatbinary and n-eiling/cuda-fatbin-decompression found them. Code may be
# compressed; headers are not.
FAT_BINARY = struct.Struct("<IHHQ")  # magic, version, bytes of this header, bytes of the entries
MAGIC = 0xBA55ED50
ENTRY = struct.Struct("<HHIQ12xI")  # kind, version, bytes of this header, bytes of the code, architecture (90 is 9.0)
PTX = 1  # 2: machine code
ALIGNMENT = 8


class Code(NamedTuple):
    """The architectures for which there is code, as numbers (90 is 9.0), and those for which some of it is PTX."""

    gpus: frozenset[int]
    ptx: frozenset[int]


class Library(NamedTuple):
    """A library with device code, and the bytes of that."""

    size: int
    path: Path
    code: Code


def main() -> None:
    codes = []
    for package in metadata.distributions():
        if largest := largest_of(package):
            print(largest.path, *written(largest.code), file=sys.stderr)
            codes.append(largest.code)
    print(json.dumps(written(common(codes)) if codes else []))


def written(code: Code) -> list[str]:
    """Such as `["8.0", "9.0+PTX"]`; PTX is what the driver compiles on newer GPUs."""
    return [f"{number // 10}.{number % 10}{'+PTX' if number in code.ptx else ''}" for number in sorted(code.gpus)]


def common(codes: list[Code]) -> Code:
    return Code(*(frozenset.intersection(*sets) for sets in zip(*codes, strict=True)))


def largest_of(package: metadata.Distribution) -> Library | None:
    if package.metadata["Name"].startswith("nvidia-"):
        return None
    paths = (Path(str(file.locate())) for file in package.files or () if ".so" in file.suffixes)
    return max(filter(None, map(library, paths)), default=None)


def library(path: Path) -> Library | None:
    """What the file holds; None if it is no library, or one without device code."""
    if path.stat().st_size < ALIGNMENT:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        data.madvise(mmap.MADV_RANDOM)  # headers alone are read, of hundreds of megabytes
        start, end = section_of(data)
        codes = [*fat_binaries(data, start, end)]
    return Library(end - start, path, common(codes)) if codes else None


def section_of(data: mmap.mmap) -> tuple[int, int]:
    """Where the section with device code of an ELF file starts and ends; nowhere in any other file. See elf(5)."""
    if data[:6] == b"\x7fELF\x02\x01":  # 64 bits, little-endian
        (table,) = struct.unpack_from("<Q", data, 0x28)
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        headers = [struct.unpack_from("<I20xQQ", data, table + number * size) for number in range(count)]
        for name, offset, length in headers:
            at = headers[names][1] + name
            if data[at : data.find(b"\0", at)] == SECTION:
                return offset, offset + length
    return 0, 0


def fat_binaries(data: mmap.mmap, start: int, end: int) -> Iterator[Code]:
    """The code of each fat binary in a section; exits if the section is of another form."""
    while start < end:
        if not any(data[start : start + ALIGNMENT]):  # between two of them
            start += ALIGNMENT
            continue
        magic, _, header, size = FAT_BINARY.unpack_from(data, start)
        if magic != MAGIC:
            sys.exit(f"expected a fat binary at {start:#x}, found {data[start : start + ALIGNMENT].hex()}")
        entries = [*entries_of(data, start + header, start + header + size)]
        yield Code(
            frozenset(number for _, number in entries), frozenset(number for kind, number in entries if kind == PTX)
        )
        start += header + size


def entries_of(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Kind and architecture of each entry."""
    while start < end:
        kind, _, header, size, architecture = ENTRY.unpack_from(data, start)
        if header < ENTRY.size:
            sys.exit(f"expected the entry of a fat binary at {start:#x}, found a header of {header} bytes")
        yield kind, architecture
        start += header + size


if __name__ == "__main__":
    main()
