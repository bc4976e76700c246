"""The proof of the first promise: an image rebuilt without any cache, even on another machine, has the same digest."""

import os
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from builder import paths, scratch
from builder.catalog.models import Catalog, Image
from builder.console import print_table
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.image import build, contents
from builder.image.record import Record
from builder.lock import requirements
from builder.reproduce import diff
from builder.reproduce.diff import Comparison
from builder.reproduce.variations import Change, Machine, prepare

Log = Callable[[str], None]
Caches = Literal["cold", "warm"]

DOWNLOADS = ("packages", "wheels")
"""What a rebuild may take from the cache: files that are found by their sha256."""

PLAIN, WARM = "nothing varied", "warm caches"
SAME, OTHER, NOT_REACHED = "same digest", "other digest", "not reached"


@dataclass(frozen=True)
class Verdict:
    """How an image compares with its rebuild, and what became of each variation, if there were any."""

    image: str
    comparison: Comparison
    variations: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"image": self.image, **self.comparison.to_json(), "variations": dict(self.variations)}


def verify(
    catalog: Catalog,
    image: Image,
    engine: Engine,
    *,
    against: str | None = None,
    vary: bool = False,
    keep: bool = False,
    log: Log,
) -> Verdict:
    """Rebuild the image and compare it with its last build, or with the image or file that `against` names.

    `vary` rebuilds it on what looks like another machine, and where that makes a difference finds out what did. `keep`
    leaves a rebuild that differs in the engine. Raises SeedbedError where there is nothing to compare with, or where
    that was made from other inputs than this checkout's, or not from what is locked.
    """
    build.check(catalog, image)
    reference = named(against, catalog, image, engine) if against else last_build(catalog, image, engine)
    with scratch.folder(paths.cache()) as folder:
        trial = Trial(catalog, image, engine, reference, folder, engine.digests(), keep)
        return Verdict(image.name, *(varied(trial, log) if vary else (plain(trial), {})))


def print_verdict(verdict: Verdict) -> None:
    diff.print_comparison(verdict.comparison)
    if verdict.variations:
        print_table(("variation", ""), list(verdict.variations.items()))


def plain(trial: "Trial") -> Comparison:
    with trial.empty_cache() as cache:
        return trial.compared(cache)


def varied(trial: "Trial", log: Log) -> tuple[Comparison, dict[str, str]]:
    """Vary everything at once, and after that the caches; where that differs, find out what it takes."""
    changes, left_out = prepare(trial.scratch, trial.catalog.base_of(trial.image))
    log(f"{trial.image.name}: rebuilding with {', '.join(changes)}")
    with trial.empty_cache() as cache:
        comparison = trial.compared(cache, changes.values())
        if comparison.equal:
            log(f"{trial.image.name}: rebuilding with {WARM}")
            shutil.rmtree(cache / "records")
            comparison = trial.compared(cache, caches="warm")
            return comparison, dict.fromkeys(changes, SAME) | left_out | {WARM: SAME if comparison.equal else OTHER}
    log(f"{trial.image.name}: the digest is another; finding out what it takes, by halves")
    return comparison, blamed(changes, trial.differs) | left_out | {WARM: NOT_REACHED}


def blamed(changes: Mapping[str, Change], differs: Callable[[Sequence[Change]], bool]) -> dict[str, str]:
    """What makes the digest another, once the changes before it are in place, given that all of them together do."""
    names = [PLAIN, *changes]
    culprit = bisect_left(range(len(changes)), True, key=lambda count: differs(list(changes.values())[:count]))
    outcomes = [SAME] * culprit + [OTHER] + [NOT_REACHED] * (len(changes) - culprit)
    return dict(zip(names, outcomes, strict=True))


# ---- what a rebuild is to equal ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """An image to equal. It is opened only where a rebuild does not: that takes a while for each gigabyte."""

    digest: str
    open: Callable[[], diff.Image]


def last_build(catalog: Catalog, image: Image, engine: Engine) -> Reference:
    known = build.find(catalog, image)
    if known is None:
        raise SeedbedError(f"{image.name}: not built from these inputs yet; run ./build.py build {image.name}")
    if not known.locked:
        raise SeedbedError(f"{image.name}: {unlocked('; '.join(known.moved), image)}")
    return Reference(known.digest, lambda: diff.open_image(known.digest, lambda: engine))


def named(name: str, catalog: Catalog, image: Image, engine: Engine) -> Reference:
    """The image in an OCI layout or archive at that path, in the registry of that name, or else in the engine."""
    if os.path.lexists(name):
        saved = diff.open_image(name, lambda: engine)
        check_inputs(name, saved.labels, catalog, image)
        return Reference(saved.digest, lambda: saved)
    if engine.names_registry(name) or not engine.has(name):
        engine.pull(name)
    check_inputs(name, engine.labels(name), catalog, image)
    return Reference(engine.digest(name), lambda: diff.of_engine(name, engine))


def check_inputs(name: str, labels: Mapping[str, str], catalog: Catalog, image: Image) -> None:
    """Raise SeedbedError where an image's labels say that this checkout would not make it."""
    if moved := labels.get("io.seedbed.unlocked"):
        raise SeedbedError(f"{name}: {unlocked(moved, image)}")
    for label, ours in contents.labels(image, requirements.digest(catalog, image)).items():
        if label.startswith("io.seedbed.") and labels.get(label) != ours:
            raise SeedbedError(
                f"{name}: made from other inputs: its label {label} is {labels.get(label, diff.MISSING)}, this "
                f"checkout's would be {ours}; go to the revision that it was built from"
            )


def unlocked(moved: str, image: Image) -> str:
    packages = f"it was made with other Debian packages than those locked ({moved})"
    return f"nothing to verify: {packages}; run ./build.py lock {image.base} {image.name} and build again"


# ---- rebuilding ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Rebuilds of one image. Those that were not among `images` before leave the engine again, unless `keep`."""

    catalog: Catalog
    image: Image
    engine: Engine
    reference: Reference
    scratch: Path
    images: frozenset[str]
    keep: bool

    def compared(self, cache: Path, changes: Iterable[Change] = (), caches: Caches = "cold") -> Comparison:
        """Rebuild with that cache folder, on a machine so changed, and compare with the reference."""
        with self.rebuilt(cache, changes, caches) as rebuilt:
            if rebuilt.digest != self.reference.digest:
                return diff.compare(self.reference.open(), diff.of_engine(rebuilt.digest, self.engine))
            return diff.same(
                manifest=rebuilt.digest,
                config=rebuilt.config,
                diff_ids=self.engine.diff_ids(rebuilt.digest),
                layers=[layer.digest for layer in rebuilt.layers],
            )

    def differs(self, changes: Iterable[Change]) -> bool:
        """Whether without any cache the digest is another on a machine so changed."""
        with self.empty_cache() as cache, self.rebuilt(cache, changes) as rebuilt:
            return rebuilt.digest != self.reference.digest

    @contextmanager
    def rebuilt(self, cache: Path, changes: Iterable[Change] = (), caches: Caches = "cold") -> Iterator[Record]:
        machine = Machine()
        for change in changes:
            machine = change(machine)
        rebuilt = self.rebuild(machine, cache, caches)
        try:
            yield rebuilt
        finally:
            if rebuilt.digest not in self.images and not self.keep:
                self.engine.remove(rebuilt.digest)

    def rebuild(self, machine: Machine, cache: Path, caches: Caches) -> Record:
        """The record of a build in a process of its own. Raises its SeedbedError as ours."""
        catalog = self.catalog.root.absolute()
        if catalog.is_relative_to(paths.ROOT):
            catalog = machine.checkout / catalog.relative_to(paths.ROOT)
        rebuild = [sys.executable, "-m", "builder.reproduce.rebuild", str(catalog), self.image.name, caches]
        settings = {"SEEDBED_ENGINE": "host", "SEEDBED_CACHE": str(cache.parent), "PYTHONPATH": str(machine.checkout)}
        done = subprocess.run(
            [*machine.starter, *rebuild],
            cwd=machine.checkout,
            env={**self.engine.environment, **settings, **machine.environment},
            umask=machine.umask,
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            reason = done.stdout.decode(errors="replace").strip() or f"it ended with status {done.returncode}"
            raise SeedbedError(f"{self.image.name}: not rebuilt: {reason}")
        return Record.model_validate_json(done.stdout)

    @contextmanager
    def empty_cache(self) -> Iterator[Path]:
        """A cache folder that holds downloads alone, until the end of the trial."""
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="cache, @-") as folder:
            cache = Path(folder, paths.cache().name)
            cache.mkdir()
            for name in DOWNLOADS:
                (paths.cache() / name).mkdir(exist_ok=True)
                (cache / name).symlink_to(paths.cache() / name)
            yield cache
