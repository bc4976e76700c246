"""One image, built on Docker engines of several Debian releases: its manifest is to have the same digest on all.

    .venv/bin/python benchmarks/engines.py --catalog tests/images tiny
    .venv/bin/python benchmarks/engines.py pytorch                              # 10 GB of disk, some minutes an engine

Prints the engines and the digests as JSON; exit status 1 where digests differ. The engines are embedded ones, one after
the other, and gone at the end: root and Debian needed. Layers that were assembled before are taken as they are, for no
engine has a part in them; whether an image can be assembled anew, `./build.py verify` shows.
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
from builder.catalog.models import Catalog, Image  # noqa: E402
from builder.console import log, print_json  # noqa: E402
from builder.engine import client as engine  # noqa: E402
from builder.engine import programs  # noqa: E402
from builder.errors import SeedbedError  # noqa: E402
from builder.image import build  # noqa: E402
from builder.image.build import Options  # noqa: E402

LAYERS = ("blobs", "layers")


def main() -> None:
    options = parse_arguments()
    loaded = models.load(options.catalog)
    image = loaded.image(options.image)
    built = [built_on(suite, loaded, image) for suite in options.suites]
    same = len({engine["digest"] for engine in built}) == 1
    print_json({"image": image.name, "equal": same, "engines": built})
    sys.exit(0 if same else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--catalog", type=Path, default=paths.IMAGES)
    parser.add_argument("--suites", nargs="+", default=["trixie", "forky"], help="default: trixie forky")
    return parser.parse_args()


def built_on(suite: str, loaded: Catalog, image: Image) -> dict[str, Any]:
    """What a release's engine is made of, and what it makes of the image."""
    for folder in LAYERS:
        (paths.cache() / folder).mkdir(parents=True, exist_ok=True)
    programs.DOCKER_SUITE = suite
    with own_cache([*DOWNLOADS, *LAYERS]):
        connected = engine.connect(log)
        record = build.build(loaded, image, connected, Options(locked=True), log)
        return {
            "suite": suite,
            **{component["Name"]: component["Version"] for component in connected.client.version()["Components"]},
            "buildx": connected.buildx().found,
            "digest": record.digest,
            "config": record.config,
        }


if __name__ == "__main__":
    try:
        main()
    except SeedbedError as error:
        sys.exit(f"engines: {error}")
