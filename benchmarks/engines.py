"""One image, loaded into Docker engines of several Debian releases: its manifest is to have the same digest in all.

    .venv/bin/python benchmarks/engines.py --catalog tests/images tiny
    .venv/bin/python benchmarks/engines.py pytorch                              # 10 GB of disk, some minutes an engine

Prints the engines and the digests as JSON; exit status 1 if digests differ. The engines are embedded ones, one after
the other, and gone at the end: root and Debian needed. The image is built once, for no engine has a part in that.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from scratch import DOWNLOADS, own_cache  # noqa: E402

from builder import paths  # noqa: E402
from builder.catalog import models  # noqa: E402
from builder.console import print_json, show_log  # noqa: E402
from builder.engine import client as engine  # noqa: E402
from builder.engine import programs  # noqa: E402
from builder.errors import SeedbedError  # noqa: E402
from builder.image import build  # noqa: E402
from builder.image.build import Options  # noqa: E402
from builder.image.load import load  # noqa: E402
from builder.image.recipe import resolve  # noqa: E402
from builder.image.record import Record  # noqa: E402

LAYERS = ("blobs", "layers")


def main() -> None:
    options = parse_arguments()
    loaded = models.load(options.catalog)
    show_log()
    recipe = resolve(loaded, loaded.image(options.image))
    built = build.build(recipe, Options(locked=True), engine.connect)
    found = [loaded_into(suite, built) for suite in options.suites]
    same = {each["digest"] for each in found} == {built.digest}
    print_json({"image": recipe.name, "digest": built.digest, "equal": same, "engines": found})
    sys.exit(0 if same else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--catalog", type=Path, default=paths.IMAGES)
    parser.add_argument("--suites", nargs="+", default=["trixie", "forky"], help="default: trixie forky")
    return parser.parse_args()


def loaded_into(suite: str, built: Record) -> dict[str, Any]:
    """What a release's engine is made of, and what it knows the image by."""
    programs.DOCKER_SUITE = suite
    with own_cache([*DOWNLOADS, *LAYERS]):
        connected = engine.connect()
        known_as = load(built, connected)
        return {
            "suite": suite,
            **{component["Name"]: component["Version"] for component in connected.client.version()["Components"]},
            "buildx": connected.buildx().found,
            "digest": connected.digest(known_as),
            "config": built.config,
        }


if __name__ == "__main__":
    try:
        main()
    except SeedbedError as error:
        sys.exit(f"engines: {error}")
