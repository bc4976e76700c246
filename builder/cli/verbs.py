"""What each verb does, in the order it does it. The logic is one floor down, one concern a file."""

import functools
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from builder.catalog import models as catalogs
from builder.catalog.source import shown
from builder.cli import cleaning
from builder.console import log, print_json, print_line, print_table
from builder.engine import client as engines
from builder.engine import doctor as diagnosis
from builder.errors import SeedbedError
from builder.image import build as building
from builder.image import dockerfile as rendering
from builder.image import listing, report
from builder.image import matrix as matrices
from builder.image.build import Options
from builder.lock import packages as bases
from builder.lock import requirements as locks
from builder.publish import push as publish
from builder.reproduce import diff as compare
from builder.reproduce import verify as verifying
from builder.smoke import programs
from builder.smoke import smoke as testing


def list_images(root: Path, as_json: bool) -> None:
    catalog = catalogs.load(root)
    summaries = {
        image.name: listing.summary(catalog, image, building.find(catalog, image)) for image in catalog.select(())
    }
    if as_json:
        print_json({"images": summaries})
    else:
        listing.print_summaries(summaries)


def show(root: Path, name: str, as_json: bool) -> None:
    catalog = catalogs.load(root)
    details = listing.details(catalog, catalog.image(name))
    if as_json:
        print_json(details)
    else:
        listing.print_details(details)


def weigh(root: Path, names: Sequence[str], as_json: bool) -> None:
    catalog = catalogs.load(root)
    images = catalog.select(names)
    records = {image.name: built for image in catalog.select(()) if (built := building.find(catalog, image))}
    if missing := [image.name for image in images if image.name not in records]:
        raise SeedbedError(f"{', '.join(missing)}: not built; run ./build.py build {' '.join(missing)}")
    weights = {image.name: report.weigh(catalog, image, records) for image in images}
    if as_json:
        print_json({"images": weights})
    else:
        for name, weighed in weights.items():
            report.print_weight(name, weighed)
    for image in images:
        building.check_budget(image, records[image.name])


def lock(root: Path, names: Sequence[str], check: bool, cutoff: str | None) -> None:
    catalog = catalogs.load(root)
    moment = locks.moment(cutoff)
    for base in catalog.select_bases(names):
        if not check:
            bases.write(base, bases.make(base, moment))
        bases.check(base)
        log(f"{base.name}: {base.lock_path.name} is fresh")
    for image in catalog.select(names):
        if not check:
            locks.write(image, locks.make(catalog, image, moment))
        locks.check(catalog, image)
        log(f"{image.name}: {image.lock_path.name} is fresh")
        for scripts in programs.locked_beside(image):
            if not check:
                locks.write(scripts, programs.make_lock(scripts, moment))
            programs.check_lock(scripts)
            log(f"{image.name}: {shown(scripts.lock_path)} is fresh")


def render(root: Path, names: Sequence[str], check: bool) -> None:
    catalog = catalogs.load(root)
    drifted = []
    for image in catalog.select(names):
        rendered = rendering.render(catalog, image)
        if check and (diff := rendered.diff()):
            for line in diff.splitlines():
                print_line(line)
            drifted.append(image.name)
        elif not check and rendered.write():
            log(f"{image.name}: rendered")
    if drifted:
        raise SeedbedError(f"{', '.join(drifted)}: not as rendered, see above; run ./build.py render")


@cleaning.in_use()
def build(root: Path, names: Sequence[str], options: Options) -> None:
    catalog = catalogs.load(root)
    images = catalog.select(names)
    engine = engines.connect(log)
    for image in images:
        building.build(catalog, image, engine, options, log)


@cleaning.in_use()
def smoke(root: Path, names: Sequence[str], gpu: testing.Gpu) -> None:
    catalog = catalogs.load(root)
    images = catalog.select(names)
    engine = engines.connect(log)
    tested = {image.name: testing.test(catalog, image, engine, gpu, log) for image in images}
    listing.print_summaries({image.name: listing.summary(catalog, image, tested[image.name]) for image in images})
    if failed := [name for name, result in tested.items() if not result.tested]:
        raise SeedbedError(f"{', '.join(failed)}: smoke tests failed, so there is no tag; see the table")


@cleaning.in_use()
def verify(root: Path, name: str, against: str | None, vary: bool, keep: bool, as_json: bool) -> None:
    catalog = catalogs.load(root)
    image = catalog.image(name)
    verdict = verifying.verify(catalog, image, engines.connect(log), against=against, vary=vary, keep=keep, log=log)
    if as_json:
        print_json(verdict.to_json())
    else:
        verifying.print_verdict(verdict)
    if not verdict.comparison.equal:
        raise SeedbedError(f"{name}: rebuilt, it is another image, see above")


def diff(first: str, second: str, as_json: bool) -> None:
    connect = functools.cache(partial(engines.connect, log))
    comparison = compare.compare(compare.open_image(first, connect), compare.open_image(second, connect))
    if as_json:
        print_json(comparison.to_json())
    else:
        compare.print_comparison(comparison)
    if not comparison.equal:
        raise SeedbedError(f"{first} and {second} differ, see above")


@cleaning.in_use()
def push(root: Path, names: Sequence[str]) -> None:
    catalog = catalogs.load(root)
    images = catalog.select(names)
    engine = engines.connect(log)
    for image in images:
        print_line(publish.push(catalog, image, engine, log))


def matrix(root: Path, kind: str) -> None:
    catalog = catalogs.load(root)
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
    started = engines.embedded().up(log)
    log("the embedded engine " + ("is up" if started else "was up already"))


def engine_down() -> None:
    stopped = engines.embedded().down()
    log("the embedded engine " + ("is down" if stopped else "was not running"))


def engine_env() -> None:
    for name, value in engines.embedded().environment().items():
        print(f"export {name}={shlex.quote(value)}")


def clean(everything: bool) -> None:
    cleaning.clean(everything, log)
