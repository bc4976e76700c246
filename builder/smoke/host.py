"""`./build.py smoke --host`: the checks of smoke tests, against the Python at hand instead of an image.

For Slurm and bare metal: no container engine, no network, no root, and nothing but the standard library. The startup
hook goes into a scratch virtual environment that sees the packages of that Python. What only an image can promise (its
lock, its users) is skipped, with the reason.
"""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from builder import interrupts, paths, reading
from builder.errors import SeedbedError, UsageError
from builder.outcomes import Result, summary
from builder.smoke import checks
from builder.smoke.venv import Host, installed


def test(image: Path, host: Host, programs: Collection[str] | None = None) -> Iterator[Result]:
    """Make every check of the image in turn, and say how each ended. `programs`: of those, only these."""
    host = replace(host, example=example_of(image))
    for name, check in checks.checks_of(image, programs).items():
        result = checks.make(host, name, check)
        say(f"{image.name}: {result}")
        yield result


def example_of(image: Path) -> str:
    """The image's example training: one line of its image.yaml, which takes no YAML library to read."""
    found = re.search(r"^example: *(\S+)$", reading.text(image / "image.yaml"), re.MULTILINE)
    if not found:
        raise SeedbedError(f"{image.name}/image.yaml: expected a line such as 'example: digits_torch.py'")
    return found[1]


def images(catalog: Path, names: Sequence[str]) -> list[Path]:
    """The folders of these images, or of all; `UsageError` where there is none of that name."""
    found = {path.parent.name: path.parent for path in sorted(catalog.glob("*/requirements.in"))}
    if unknown := [name for name in names if name not in found]:
        raise UsageError(f"{', '.join(unknown)}: no such image; there are: {', '.join(sorted(found))}")
    return [found[name] for name in names or sorted(found)]


def default_python() -> Path:
    """The first `python3` on PATH that is not Seedbed's own environment's; `UsageError`: there is none."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = os.pathsep.join(folder for folder in folders if Path(folder) != paths.ROOT / ".venv" / "bin")
    if found := shutil.which("python3", path=elsewhere):
        return Path(found)
    raise UsageError("no python3 on PATH; name a Python by --python")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./build.py",
        usage="./build.py [--catalog DIR] smoke --host [--gpu auto|require|off] [--python PATH] [--json] [IMAGE…]",
        description="Test the Python at hand as images are tested, with the startup hook beside it.",
        epilog="Example: ./build.py smoke --host --gpu require",
    )
    parser.add_argument("--catalog", type=Path, default=paths.IMAGES, help="folder of image folders")
    parser.add_argument("verb", choices=["smoke"], help=argparse.SUPPRESS)
    parser.add_argument("--host", action="store_true", required=True, help="no image, no container engine, no network")
    parser.add_argument("--gpu", choices=["auto", "require", "off"], default="auto", help="auto: where there is one")
    parser.add_argument("--python", type=Path, metavar="PATH", help="default: the first python3 on PATH")
    parser.add_argument("--json", action="store_true", help="print JSON for programs to read")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="whose checks to make (default: all images')")
    return parser.parse_intermixed_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Exit status 0: all that could be checked holds; 1: something does not, or nothing could be; 2: wrong use."""
    options = parse_arguments(arguments)
    try:
        chosen = images(options.catalog, options.images)
        python = options.python or default_python()
        with installed(python, options.gpu) as host:
            say(f"Python {'.'.join(map(str, host.version))}, {python}")
            results = {image.name: list(test(image, host)) for image in chosen}
    except SeedbedError as error:
        say(f"seedbed: {error}")
        return error.exit_status
    print_results(host, results, options.json)
    if complaint := complaint_about(results, computing(chosen) if options.gpu == "require" else None):
        say(f"seedbed: {complaint}")
        return 1
    return 0


def print_results(host: Host, results: Mapping[str, Sequence[Result]], as_json: bool) -> None:
    if as_json:
        python = {"path": str(host.origin), "version": ".".join(map(str, host.version))}
        smoke = {name: {"smoke": [asdict(result) for result in those]} for name, those in results.items()}
        print(json.dumps({"python": python, "images": smoke}, indent=2))
        return
    for name, those in results.items():
        print(f"{name}: {summary(result.outcome for result in those)}")


def computing(images: Sequence[Path]) -> set[str]:
    """The checks of these images that compute on a GPU."""
    return {reading.title_of(script) for image in images for script in image.glob("smoke/gpu.py")}


def complaint_about(results: Mapping[str, Sequence[Result]], required: set[str] | None = None) -> str | None:
    """Why these results are no success; None: they are one. Where checks are required, one of them has to pass."""
    outcomes = {name: {result.outcome for result in those} for name, those in results.items()}
    if failed := [name for name, found in outcomes.items() if "failed" in found]:
        return f"{', '.join(failed)}: smoke tests failed, see above"
    if not any("passed" in found for found in outcomes.values()):
        return "nothing could be checked here, see above"
    passed = {result.check for those in results.values() for result in those if result.outcome == "passed"}
    if required is not None and not passed & required:
        return "--gpu require: no framework installed here computed on a GPU, see above"
    return None


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    interrupts.handle()
    sys.exit(main(["smoke", "--host", *sys.argv[1:]]))
