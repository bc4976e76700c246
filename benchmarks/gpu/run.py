"""A session on a GPU: bits, their price, and proofs, most important first, in nine minutes. docs/gpu.md explains it.

    python3 benchmarks/gpu/run.py --device cuda --output results
    python3 benchmarks/gpu/run.py cost proof --device cuda --output results --limit 210   # some parts again
    python3 benchmarks/gpu/run.py --device cpu --quick --output results                   # a rehearsal

Needs a Python with torch or JAX, or both, and nothing else: the startup hook comes from this checkout, in a scratch
environment. Each part writes PART.json while it runs; the tables are printed at the end, and by `show.py` again.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "runtime")]
from seedbed import disclosure, leftovers  # noqa: E402
from seedbed.observe import launch  # noqa: E402

from benchmarks.gpu import parts, show  # noqa: E402
from benchmarks.gpu.parts import CUT_SHORT, PARTS, say  # noqa: E402
from builder.errors import SeedbedError  # noqa: E402
from builder.smoke import host, venv  # noqa: E402

PART = [sys.executable, parts.__file__]
AGAIN = 210  # seconds of a second call, of less than four minutes


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0: all parts were done and found what is claimed; 1: not so; 128 and more: a signal came."""
    options = parse_arguments(arguments)
    chosen = [name for name in PARTS if name in (options.parts or PARTS)]
    until = time.monotonic() + options.limit
    begun: list[Path] = []
    signal = 0
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        with leftovers.Ended(), venv.installed(options.python or host.default_python()) as installed:
            leftovers.remember(str(installed.folder))
            facts = {"python": ".".join(map(str, installed.version)), **machine()}
            for name in chosen:
                begun.append(options.output / f"{name}.json")
                document = beginning(name, share(name, chosen, until - time.monotonic()), options, facts)
                run(begun[-1], document, installed.folder)
    except KeyboardInterrupt as interrupted:
        signal = interrupted.args[0]
    except (SeedbedError, OSError) as error:
        say(f"seedbed: {error}")
        return 1
    status = show.show(begun)
    if repeated := to_repeat([show.read(path) for path in begun]):
        again = [*repeated, "--device", options.device, "--output", str(options.output), "--limit", str(AGAIN)]
        say(f"To repeat, most important first: python3 benchmarks/gpu/run.py {shlex.join(again)}")
    return 128 + signal if signal else status


def machine() -> dict[str, Any]:
    """CPUs, and the GPU and its driver if there is one."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    facts = {"cpus": os.cpu_count()}
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
        return facts | dict(zip(("gpu", "driver"), said.splitlines()[0].split(", "), strict=True))
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return facts


def share(name: str, chosen: Sequence[str], left: float) -> float:
    """Seconds of those left: each part passes on what it does not need to those after it."""
    after = chosen[chosen.index(name) :]
    return left * PARTS[name].seconds / sum(PARTS[other].seconds for other in after)


def beginning(name: str, limit: float, options: argparse.Namespace, facts: dict[str, Any]) -> dict[str, Any]:
    """What a part is told, and what is there if it does not get further."""
    wanted = {"device": options.device, "quick": options.quick, "limit": round(limit, 1)}
    document = {"part": name, "state": CUT_SHORT, "options": wanted, "machine": facts}
    return document | {"seconds": 0, "left_out": 0, "rows": []}


def run(path: Path, document: dict[str, Any], environment: Path) -> None:
    """Run a part in a process of its own; at its limit it is killed, with everything that it has started."""
    limit = document["options"]["limit"]
    parts.write(path, document)
    say(f"{document['part']}: at most {limit:.0f} s")
    process = launch.start([*PART, str(path), str(environment)], dict(os.environ), stdin=subprocess.DEVNULL)
    try:
        state = f"ended with status {process.wait(limit)}"
    except subprocess.TimeoutExpired:
        state = f"killed at its limit of {limit:.0f} s"
    leftovers.end_programs(leftovers.KEY + disclosure.with_key({})[disclosure.KEY].encode())
    document = show.read(path)
    if document["state"] == CUT_SHORT:
        parts.write(path, document | {"state": state})


def to_repeat(documents: Sequence[dict[str, Any]]) -> list[str]:
    """Parts in which something failed, then those that left something out, as far as a second call has time."""
    broken = [document["part"] for document in documents if show.failures(document)]
    incomplete = [document["part"] for document in documents if document["left_out"]]
    chosen: list[str] = []
    for name in dict.fromkeys(broken + incomplete):
        if not chosen or sum(PARTS[other].seconds for other in [*chosen, name]) <= AGAIN:
            chosen.append(name)
    return chosen


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--device", choices=["cuda", "cpu"], required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where each PART.json goes")
    parser.add_argument("--quick", action="store_true", help="small and few: a rehearsal, whose times mean nothing")
    parser.add_argument("--limit", type=float, default=530, help="seconds for everything (default: 530)")
    parser.add_argument("--python", type=Path, help="with torch or JAX (default: the first python3 on PATH)")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"expected parts of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
