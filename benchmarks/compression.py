"""What zstd's level costs and brings: the layers of an image's wheels, made and unpacked at each level, in one run.

    .venv/bin/python benchmarks/compression.py pytorch

Seconds depend on the machine, and on what else it does: the ratios are of CPU seconds.
"""

import argparse
import json
import logging
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from builder import paths
from builder.catalog import models
from builder.console import print_table, show_log, size
from builder.image import assemble, contents
from builder.image.recipe import resolve
from builder.layers.install import Target
from builder.layers.parts import Part, cpus, wheel_layers
from builder.oci.store import Layer, Store
from builder.oci.tar import opened

log = logging.getLogger("builder.benchmarks")

GIGABIT = 125e6
"""Bytes a second over a network of 1 Gbit/s."""


@dataclass(frozen=True)
class Cost:
    """One level: seconds of the clock and of all CPUs to make the layers, their bytes, seconds to unpack them."""

    level: int
    assemble_s: float
    assemble_cpu_s: float
    size: int
    unpack_s: float
    unpack_cpu_s: float

    @property
    def pull(self) -> float:
        """Seconds to receive and unpack the layers."""
        return self.size / GIGABIT + self.unpack_cpu_s

    @property
    def total(self) -> float:
        """Seconds from wheels to files on another machine: make on all CPUs, send, receive, unpack."""
        return self.assemble_cpu_s / cpus() + self.size / GIGABIT + self.pull


def main() -> None:
    options = parse_arguments()
    show_log()
    loaded = models.load(options.catalog)
    image = loaded.image(options.image)
    parts = {
        what: part
        for group in assemble.groups_of(resolve(loaded, image))
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
    log.info(f"level {level}")
    with tempfile.TemporaryDirectory(dir=paths.cache()) as scratch:
        store = Store(Path(scratch))
        began, cpu = time.perf_counter(), cpu_seconds()
        layers = wheel_layers(parts, Target(contents.VENV, python), store=store, epoch=0, level=level)
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
        with opened(store.blob(layer.descriptor.digest)) as archive:
            archive.extraction_filter = getattr(tarfile, "tar_filter", None)  # Debian's own Python 3.11 has none
            archive.extractall(target)


def cpu_seconds() -> float:
    """Of this process and of all its children that have ended."""
    return sum(os.times()[:4])


def print_costs(costs: Sequence[Cost]) -> None:
    """Seconds and bytes as measured, and the ratios to the first level."""
    first = costs[0]
    rows = [
        (
            str(cost.level),
            f"{cost.assemble_s:.1f} s, {cost.assemble_cpu_s:.1f} s of CPU",
            f"{size(cost.size)} ({cost.size / first.size:.2f})",
            f"{cost.unpack_s:.1f} s, {cost.unpack_cpu_s:.1f} s of CPU",
            f"{cost.total / first.total:.2f}",
            f"{cost.pull / first.pull:.2f}",
        )
        for cost in costs
    ]
    print_table(("level", "assemble", "size", "unpack", "build, push, pull over 1 Gbit/s", "further pull"), rows)


if __name__ == "__main__":
    main()
