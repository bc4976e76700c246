"""Images in Docker engines of several Debian releases, with both image stores: the same digests, and smoke tests pass.

    .venv/bin/python benchmarks/engines.py --catalog tests/images tiny
    .venv/bin/python benchmarks/engines.py pytorch tensorflow --smoke    # 20 GB of disk; half an hour an engine

Prints the engines, and what each knows the images by, as JSON; exit status 1 if a digest differs or a check fails. The
engines are embedded ones, one after the other, and gone at the end: root and Debian needed. No engine has a part
in a build, so all take the same layers; `--suites` and `--stores` choose engines.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.scratch import DOWNLOADS, own_cache
from builder import paths
from builder.catalog import models
from builder.console import print_json, show_log
from builder.engine import client as engine
from builder.engine import programs
from builder.engine.client import Engine
from builder.engine.embedded import EmbeddedEngine
from builder.errors import SeedbedError
from builder.image import build
from builder.image.build import Options
from builder.image.load import load
from builder.image.recipe import Recipe, resolve
from builder.smoke import smoke

STORES = ("containerd", "overlay2")


def main() -> None:
    options = parse_arguments()
    loaded = models.load(options.catalog)
    show_log()
    recipes = [resolve(loaded, loaded.image(name)) for name in options.images]
    found = [
        in_an_engine(suite, store, recipes, smoke_too=options.smoke)
        for suite, store in itertools.product(options.suites, options.stores)
    ]
    fine = all(image["as_built"] and not image.get("failed") for each in found for image in each["images"].values())
    print_json({"fine": fine, "engines": found})
    sys.exit(0 if fine else 1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--catalog", type=Path, default=paths.IMAGES)
    parser.add_argument("--suites", nargs="+", default=["trixie", "forky"], help="default: trixie forky")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES, help="default: both")
    parser.add_argument("--smoke", action="store_true", help="make the smoke tests too")
    return parser.parse_args()


def in_an_engine(suite: str, store: str, recipes: Sequence[Recipe], *, smoke_too: bool) -> dict[str, Any]:
    """What a release's engine is made of, what it knows the images by, and which smoke tests failed."""
    programs.DOCKER_SUITE = suite
    with own_cache([*DOWNLOADS, "blobs", "layers"]):
        engine.embedded = lambda: EmbeddedEngine(paths.cache() / "engine", containerd=store == "containerd")
        connected = engine.connect()
        return {
            "suite": suite,
            "store": store,
            **{component["Name"]: component["Version"] for component in connected.client.version()["Components"]},
            "buildx": connected.buildx().found,
            "images": {recipe.name: in_this_engine(recipe, connected, smoke_too=smoke_too) for recipe in recipes},
        }


def in_this_engine(recipe: Recipe, connected: Engine, *, smoke_too: bool) -> dict[str, Any]:
    built = build.build(recipe, Options(locked=True), engine.connect)
    known_as = connected.digest(load(built, connected))
    found: dict[str, Any] = {
        "digest": built.digest,
        "known_as": known_as,
        "as_built": known_as == (built.digest if connected.keeps_manifests() else built.config),
    }
    if smoke_too:
        results = smoke.test(recipe, connected, "auto").smoke or ()
        found |= {
            "passed": sum(result.outcome == "passed" for result in results),
            "failed": [result.check for result in results if result.outcome == "failed"],
        }
    return found


if __name__ == "__main__":
    try:
        main()
    except SeedbedError as error:
        sys.exit(f"engines: {error}")
