"""What each command does, in the order it does it. The logic is one floor down, one concern a file."""

import functools
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from builder.catalog import models
from builder.catalog.models import Catalog, Image
from builder.catalog.source import shown
from builder.cli import cleaning
from builder.console import log, print_json, print_line, print_table
from builder.engine import client
from builder.engine import doctor as diagnosis
from builder.errors import SeedbedError
from builder.image import build as building
from builder.image import dockerfile, listing, report
from builder.image import matrix as matrices
from builder.image.build import Options
from builder.image.load import load
from builder.image.recipe import Recipe, resolve
from builder.image.record import Record
from builder.lock import packages, programs, requirements
from builder.publish import push as publishing
from builder.reproduce import diff as comparing
from builder.reproduce import verify as verifying
from builder.smoke import smoke as testing

connect = functools.cache(partial(client.connect, log))


def recipes(root: Path, names: Sequence[str]) -> list[Recipe]:
    """The recipes of the images named, or of all: those whose layers are shared come first."""
    catalog = models.load(root)
    return [resolve(catalog, image) for image in catalog.select(names)]


def list_images(root: Path, as_json: bool) -> None:
    catalog = models.load(root)
    summaries = {image.name: summary(catalog, image) for image in catalog.select(())}
    if as_json:
        print_json({"images": summaries})
    else:
        listing.print_summaries(summaries)


def summary(catalog: Catalog, image: Image) -> dict[str, Any]:
    try:
        recipe = resolve(catalog, image)
    except SeedbedError as error:
        return listing.of_stale(image, str(error))
    return listing.summary(recipe, building.find(recipe))


def show(root: Path, name: str, as_json: bool) -> None:
    [recipe] = recipes(root, [name])
    details = listing.details(recipe)
    if as_json:
        print_json(details)
    else:
        listing.print_details(details)


def weigh(root: Path, names: Sequence[str], as_json: bool) -> None:
    wanted = recipes(root, names)
    records = {recipe.name: built for recipe in recipes(root, ()) if (built := building.find(recipe))}
    if missing := [recipe.name for recipe in wanted if recipe.name not in records]:
        raise SeedbedError(f"{', '.join(missing)}: not built; run ./build.py build {' '.join(missing)}")
    weights = {recipe.name: report.weigh(recipe, records) for recipe in wanted}
    if as_json:
        print_json({"images": weights})
    else:
        for name, weighed in weights.items():
            report.print_weight(name, weighed)
    for recipe in wanted:
        building.check_budget(recipe.image, records[recipe.name])


def lock(root: Path, names: Sequence[str], check: bool, cutoff: str | None) -> None:
    catalog = models.load(root)
    moment = requirements.moment(cutoff)
    for base in catalog.select_bases(names):
        if not check:
            packages.write(base, packages.make(base, moment))
        packages.check(base)
        log(f"{base.name}: {base.lock_path.name} is fresh")
    for image in catalog.select(names):
        if not check:
            requirements.write(image, requirements.make(catalog, image, moment))
        locked, _ = requirements.check(catalog, image)
        log(f"{image.name}: {image.lock_path.name} is fresh")
        for scripts in programs.locked_beside(image):
            if not check:
                requirements.write(scripts, programs.make(scripts, locked, moment))
            programs.check(scripts, locked)
            log(f"{image.name}: {shown(scripts.lock_path)} is fresh")


def render(root: Path, names: Sequence[str], check: bool) -> None:
    outdated = []
    for recipe in recipes(root, names):
        rendered = dockerfile.render(recipe)
        if check and (difference := rendered.diff()):
            for line in difference.splitlines():
                print_line(line)
            outdated.append(recipe.name)
        elif not check and rendered.write():
            log(f"{recipe.name}: rendered")
    if outdated:
        raise SeedbedError(f"{', '.join(outdated)}: out of date, see above; run ./build.py render")


@cleaning.in_use()
def build(root: Path, names: Sequence[str], options: Options) -> None:
    for recipe in recipes(root, names):
        built = building.build(recipe, options, log, connect)
        if not options.dockerfile and (engine := client.running(log)):
            load(built, engine)


@cleaning.in_use()
def smoke(root: Path, names: Sequence[str], gpu: testing.Gpu) -> None:
    wanted = recipes(root, names)
    tested: dict[str, Record] = {recipe.name: testing.test(recipe, connect(), gpu, log) for recipe in wanted}
    listing.print_summaries({recipe.name: listing.summary(recipe, tested[recipe.name]) for recipe in wanted})
    if failed := [name for name, result in tested.items() if not result.tested]:
        raise SeedbedError(f"{', '.join(failed)}: smoke tests failed, so there is no tag; see the table")


@cleaning.in_use()
def verify(root: Path, name: str, against: str | None, vary: bool, as_json: bool) -> None:
    [recipe] = recipes(root, [name])
    verdict = verifying.verify(recipe, root, connect=connect, against=against, vary=vary, log=log)
    if as_json:
        print_json(verdict.to_json())
    else:
        verifying.print_verdict(verdict)
    if not verdict.comparison.equal:
        raise SeedbedError(f"{name}: the rebuild has a different digest, see above")


def diff(first: str, second: str, as_json: bool) -> None:
    comparison = comparing.compare(*(comparing.open_image(name, connect) for name in (first, second)))
    if as_json:
        print_json(comparison.to_json())
    else:
        comparing.print_comparison(comparison)
    if not comparison.equal:
        raise SeedbedError(f"{first} and {second} differ, see above")


@cleaning.in_use()
def push(root: Path, names: Sequence[str]) -> None:
    for recipe in recipes(root, names):
        print_line(publishing.push(recipe, client.logins(client.running(log)), log))


def matrix(root: Path, kind: str) -> None:
    catalog = models.load(root)
    print_json(matrices.bake(catalog) if kind == "bake" else matrices.jobs(catalog))


def doctor(as_json: bool) -> None:
    findings = diagnosis.examine()
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        print_table(("", "", ""), [(finding.name, finding.found, finding.remedy or "ok") for finding in findings])
    if any(finding.remedy for finding in findings):
        raise SeedbedError("something is missing, see above")


@cleaning.in_use()
def engine_up() -> None:
    started = client.embedded().up(log)
    log("the embedded engine " + ("is up" if started else "was up already"))


def engine_down() -> None:
    stopped = client.embedded().down()
    log("the embedded engine " + ("is down" if stopped else "was not running"))


def engine_env() -> None:
    for name, value in client.embedded().environment().items():
        print(f"export {name}={shlex.quote(value)}")


def clean(everything: bool) -> None:
    cleaning.clean(everything, log)
