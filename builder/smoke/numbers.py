"""The bits that an image's programs come to, committed beside it: `./build.py diff --locks` shows which have changed.

The file has the form of golden.json: a program, then a kind of machine, then what was found there.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from builder import files, reading
from builder.engine.containers import Running
from builder.errors import SeedbedError
from builder.image.contents import ENTRYPOINT
from builder.image.recipe import Recipe
from builder.lock.programs import of
from builder.outcomes import Result
from builder.reading import shown
from builder.smoke.checks import CLAIM
from builder.smoke.programs import ENVIRONMENT
from builder.text import last_line

FILE = "programs.json"
PROBE = (Path(__file__).with_name("probes") / "kind.py").read_text()


def write(recipe: Recipe, container: Running, results: Iterable[Result]) -> None:
    """Put in what these checks found on this kind of machine, if they passed; what others found stays."""
    path = recipe.image.folder / FILE
    kind, machine = kind_of(container)
    origin = {"lock": f"sha256:{recipe.lock}", "packages": packages_of(recipe), "machine": machine}
    document = known(path)
    for result in results:
        if result.check.startswith(CLAIM) and result.outcome == "passed":
            document.setdefault(result.check.removeprefix(CLAIM), {})[kind] = origin | {"parameters": result.detail}
    in_order = {program: dict(sorted(found.items())) for program, found in sorted(document.items())}
    files.write(path, json.dumps(in_order, indent=2) + "\n")


def kind_of(container: Running) -> tuple[str, str]:
    """The kind of machine, in the words of golden.json, and the processor's model, as a program there sees them."""
    done = container.run([ENTRYPOINT[-1], "python", "-c", PROBE], environment=ENVIRONMENT)
    if done.status:
        raise SeedbedError(f"the kind of this machine cannot be told: {last_line(done.stderr)}")
    kind, machine = json.loads(done.stdout)
    return kind, machine


def packages_of(recipe: Recipe) -> str:
    """The sha256 of the lock of what the programs need beyond the image."""
    return f"sha256:{hashlib.sha256(reading.data(of(recipe.image).lock_path)).hexdigest()}"


def known(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    if not path.exists():
        return {}
    try:
        return {program: dict(found) for program, found in json.loads(reading.text(path)).items()}
    except (ValueError, AttributeError, TypeError):
        raise SeedbedError(f"{shown(path)}: expected numbers by program and kind of machine; delete it") from None
