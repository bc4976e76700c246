"""What zstd's level costs and brings: the layers of an image's wheels, made and unpacked at each level, in one run.

    .venv/bin/python benchmarks/compression.py pytorch

Seconds depend on the machine, and on what else it does; compare the ratios, and the CPU seconds before the others.
"""

import argparse
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from builder import assemble, catalog, contents, paths
from builder.console import log, print_table
from builder.layers import Part, wheel_layers
from builder.oci import Layer, Store

GIGABIT, FAST_GIGABIT = 125e6, 1.25e9
"""Bytes a second over networks of 1 and of 10 Gbit/s."""


@dataclass(frozen=True)
class Cost:
    """One level: seconds of the clock and of all CPUs to make the layers, their bytes, seconds to unpack them."""

    level: int
    assemble_s: float
    assemble_cpu_s: float
    size: int
    unpack_s: float
    unpack_cpu_s: float

    def total(self, bandwidth: float) -> float:
        """Seconds from wheels to files on another machine: make, send, receive, unpack."""
        return self.assemble_s + 2 * self.size / bandwidth + self.unpack_s


def main() -> None:
    options = parse_arguments()
    loaded = catalog.load(options.catalog)
    image = loaded.image(options.image)
    parts = {
        what: part
        for group in assemble.groups_of(loaded, image)
        if not options.groups or group.model.name in options.groups
        for what, part in group.parts().items()
    }
    costs = [cost(level, parts, image.python) for level in options.levels]
    if options.json:
        print(json.dumps([asdict(cost) for cost in costs], indent=2))
    else:
        print_costs(costs)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("groups", nargs="*", help="groups of image.yaml's layers (default: all)")
    parser.add_argument("--catalog", type=Path, default=paths.IMAGES)
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 3, 4, 6])
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def cost(level: int, parts: Mapping[str, Part], python: str) -> Cost:
    """Everything is made anew, and gone when this returns."""
    log(f"level {level}")
    with tempfile.TemporaryDirectory(dir=paths.cache()) as scratch:
        store = Store(Path(scratch))
        began, cpu = time.perf_counter(), cpu_seconds()
        layers = wheel_layers(parts, store=store, epoch=0, level=level, prefix=contents.VENV, python=python)
        made, made_cpu = time.perf_counter(), cpu_seconds()
        unpack(layers, store, Path(scratch, "unpacked"))
        return Cost(
            level,
            round(made - began, 2),
            round(made_cpu - cpu, 2),
            sum(layer.descriptor.size for layer in layers),
            round(time.perf_counter() - made, 2),
            round(cpu_seconds() - made_cpu, 2),
        )


def unpack(layers: Sequence[Layer], store: Store, target: Path) -> None:
    """One after the other, in one thread, as engines do."""
    for layer in layers:
        with (
            store.blob(layer.descriptor.digest).open("rb") as blob,
            zstandard.ZstdDecompressor().stream_reader(blob) as stream,
            tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|") as archive,
        ):
            archive.extractall(target, filter="tar")


def cpu_seconds() -> float:
    """Of this process and of all its children that have ended."""
    return sum(os.times()[:4])


def print_costs(costs: Sequence[Cost]) -> None:
    """Measured values, and the totals as ratios to the first level."""
    columns = ("level", "assemble", "CPU", "size", "unpack", "CPU", "wheels to files, 10 Gbit/s", "1 Gbit/s")
    first = costs[0]
    rows = [
        (
            str(cost.level),
            f"{cost.assemble_s:.1f} s",
            f"{cost.assemble_cpu_s:.1f} s",
            f"{cost.size / 1e6:.0f} MB ({cost.size / first.size:.3f})",
            f"{cost.unpack_s:.1f} s",
            f"{cost.unpack_cpu_s:.1f} s",
            *(f"{cost.total(speed) / first.total(speed):.2f}" for speed in (FAST_GIGABIT, GIGABIT)),
        )
        for cost in costs
    ]
    print_table(columns, rows)


if __name__ == "__main__":
    main()
