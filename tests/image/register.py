"""Runs the register, which is the first table of docs/libraries.md, in the PyTorch image.

`python -m tests.image.register [NAME ...]` installs what the rows name into a container, runs the script of each, and
ends with 1 if one does not do what its row says. The runtime is that of this tree, whichever the image holds.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder import paths
from builder.catalog import models
from builder.image import tags
from tests import pages

PAGE = paths.ROOT / "docs" / "libraries.md"
SCRIPTS = Path(__file__).parent / "field" / "pytorch" / "register"
PACKAGE = "/opt/venv/lib/python3.11/site-packages/seedbed"
STANDARD_LIBRARY = ("sqlite3",)
NEEDED = {  # by the scripts, beyond the library itself
    "ctranslate2": ("transformers",),
    "nutpie": ("pymc",),
    "onnxruntime": ("onnx",),
}

CALLED, FOLLOWS, CONSTANT, NEVER = "on import", "follows", "constant", "differs"
RESULTS = {CALLED: "repeats", FOLLOWS: "repeats", CONSTANT: "the same under every seed", NEVER: "**differs**"}
Draw = Callable[..., str]  # what a row's script prints, with these variables


@dataclass(frozen=True)
class Row:
    """A library by its import name and that of its package, what draws numbers in it, and how that is seeded."""

    module: str
    package: str
    version: str
    generator: str
    how: str
    by: str
    result: str


def read(page: str) -> Iterator[Row]:
    """The rows of the page's first table; a package that has the name of its module is not named."""
    for module, tried, generator, seeded, result in pages.tables(page)[0]:
        package, _, version = tried.rpartition(" ")
        how, _, by = seeded.partition(": ")
        how, by = (how, by) if how in RESULTS else (NEVER, seeded)
        yield Row(module.strip("`"), package or module.strip("`"), version, generator, how, by, result)


REGISTER = tuple(read(PAGE.read_text()))


def script(row: Row) -> Path:
    return SCRIPTS / f"draw_{row.module}.py"


def faults(row: Row, draw: Draw) -> list[str]:
    """Where what a row's script prints is not what the row says; none: it holds."""
    strict = {draw() for _ in range(3)}
    off = {draw(SEEDBED_MODE="off")}
    time.sleep(1)  # some libraries seed themselves by the clock, in seconds
    off.add(draw(SEEDBED_MODE="off"))
    other = draw(SEEDBED_SEED="7")
    repeats, follows, varies = len(strict) == 1, other not in strict, len(off) > 1
    constant_before = row.how == CALLED and "constant otherwise" in row.by
    claims = {
        "repeats in strict": (repeats, row.how != NEVER),
        "follows the seed": (follows, row.how != CONSTANT),
        "varies in mode off": (varies, row.how != CONSTANT and not constant_before),
    }
    return [f"{claim}: {seen}, the row says {said}" for claim, (seen, said) in claims.items() if seen != said]


def requirements(rows: list[Row]) -> list[str]:
    """What pip installs for these rows, at the versions that the register names."""
    wanted = [f"{row.package}=={row.version}" for row in rows if row.module not in STANDARD_LIBRARY]
    return wanted + [package for row in rows for package in NEEDED.get(row.module, ())]


def main(names: list[str]) -> int:
    rows = [row for row in REGISTER if not names or row.module in names]
    container = started()
    try:
        run("docker", "exec", "--user=0:0", container, "pip", "install", "--no-cache-dir", *requirements(rows))
        return 1 if [row for row in rows if not holds(row, container)] else 0
    finally:
        run("docker", "rm", "--force", container)


def holds(row: Row, container: str) -> bool:
    """Run one row, and say how it went."""

    def draw(**variables: str) -> str:
        settings = [f"--env={name}={value}" for name, value in variables.items()]
        entry = ("/opt/seedbed/entrypoint.sh", "python", f"/register/{script(row).name}")
        return run("docker", "exec", *settings, container, *entry)

    try:
        found = faults(row, draw)
    except subprocess.CalledProcessError as error:
        found = [f"its script fails: {error.stderr.strip().splitlines()[-1:]}"]
    print(f"{row.module}: {'; '.join(found) or 'as the row says'}", flush=True)
    return not found


def started() -> str:
    """A container of the image, with this tree's runtime and what pip needs to know here; returns its name."""
    settings = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
    mounts = {SCRIPTS: "/register", paths.ROOT / "runtime" / "seedbed": PACKAGE, **{path: path for path in settings}}
    volumes = [f"--volume={here}:{there}:ro" for here, there in mounts.items() if here.exists()]
    image = f"{tags.repository()}/pytorch:{models.load(paths.IMAGES).image('pytorch').full_tag}"
    return run("docker", "run", "--detach", *volumes, image, "sleep", "infinity").strip()


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
