"""The proof of the first promise: an image rebuilt without any cache, even on another machine, has the same digest."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import docker.auth
from pydantic_core import from_json

from builder import paths, scratch
from builder.console import print_line, print_table
from builder.engine import client
from builder.engine.client import Engine
from builder.errors import SeedbedError
from builder.image import assemble, build, contents, dockerfile, kits
from builder.image import digest as record_of
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.oci import registry
from builder.oci.registry import Repository
from builder.oci.store import Store
from builder.reproduce import diff
from builder.reproduce.diff import Comparison
from builder.reproduce.difference import MISSING
from builder.reproduce.variations import Change, Machine, prepare

log = logging.getLogger(__name__)
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
    proof: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"image": self.image, **self.comparison.to_json(), "variations": dict(self.variations)}


def verify(
    recipe: Recipe,
    root: Path,
    *,
    connect: Callable[[], Engine],
    against: str | None = None,
    vary: bool = False,
) -> Verdict:
    """Rebuild the image and compare it: with the image or file that `against` names, else with the digest of record.

    An image that has no digest of record is compared with its last build.
    `root` is the catalog's folder; `connect` is called if `against` names an image in an engine. `vary` rebuilds on
    what looks like another machine, and if that makes a difference finds out what did. Raises SeedbedError if there is
    nothing to compare with, or if that was made from other inputs than this checkout's, or not from what is locked.
    """
    dockerfile.check(recipe)
    reference = named(against, recipe, connect) if against else expected(recipe)
    with scratch.folder(paths.cache()) as folder:
        trial = Trial(recipe, root, reference, folder)
        comparison, variations = varied(trial) if vary else (plain(trial), {})
        return Verdict(recipe.name, comparison, variations, proof(recipe, reference) if comparison.equal else {})


def print_verdict(verdict: Verdict) -> None:
    diff.print_comparison(verdict.comparison)
    if verdict.variations:
        print_table(("variation", ""), list(verdict.variations.items()))
    for what, said in verdict.proof.items():
        print_line(f"{what}: {said}")


def proof(recipe: Recipe, reference: "Reference") -> dict[str, str]:
    """What a rebuild to the same digest proves, what it does not, and where to go on, for one who trusts nobody."""
    packages, wheels = len(recipe.packages.packages), len(recipe.wheels.wheels)
    return {
        "proved": f"{recipe.name}, rebuilt here from this checkout and what its locks name ({packages} Debian packages "
        f"and {wheels} wheels, each checked by its sha256), is {reference.digest}: the same as {reference.name}",
        "not proved": "what is in those packages and wheels, for others compiled them; "
        f"nor that a training repeats: ./build.py smoke {recipe.name} tests that",
        "to look further": f"./build.py sbom {recipe.name} lists what it contains, and whose it is; --vary rebuilds as "
        "if on another machine; --attested-by N counts others who have rebuilt it",
    }


def plain(trial: "Trial") -> Comparison:
    with trial.empty_cache() as cache:
        return trial.compared(cache)


def varied(trial: "Trial") -> tuple[Comparison, dict[str, str]]:
    """Vary everything at once, and after that the caches; where that differs, find out what it takes."""
    name = trial.recipe.name
    changes, left_out = prepare(trial.scratch, trial.recipe.base)
    log.info(f"{name}: rebuilding with {', '.join(changes)}")
    with trial.empty_cache() as cache:
        comparison = trial.compared(cache, changes.values())
        if comparison.equal:
            log.info(f"{name}: rebuilding with {WARM}")
            shutil.rmtree(cache / "records")
            comparison = trial.compared(cache, caches="warm")
            return comparison, dict.fromkeys(changes, SAME) | left_out | {WARM: SAME if comparison.equal else OTHER}
    log.info(f"{name}: the digest is another; finding out what it takes, by halves")
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
    """An image to equal. It is opened only where a rebuild does not: that takes a while for each gigabyte.

    `digest` is its manifest's, or its config's if it is in an engine with the older image store. `open` returns None if
    it is nowhere here: its digest is all that is known. `name` says what it is.
    """

    name: str
    digest: str
    open: Callable[[], diff.Image | None]

    def equals(self, rebuilt: Record) -> bool:
        return self.digest in (rebuilt.digest, rebuilt.config)


def expected(recipe: Recipe) -> Reference:
    """The image whose digest is committed beside image.yaml; without one, the last build here."""
    name, digest = "the digest of record", record_of.read(recipe)
    if digest is None:
        known = build.find(recipe)
        if known is None:
            raise SeedbedError(f"{recipe.name}: not built from these inputs yet; run ./build.py build {recipe.name}")
        if not known.locked:
            raise SeedbedError(f"{recipe.name}: {unlocked('; '.join(known.substituted), recipe)}")
        name, digest = "the last build here", known.digest
    store = assemble.store()
    return Reference(name, digest, lambda: diff.of_store(store, digest) if store.blob(digest).exists() else None)


def named(name: str, recipe: Recipe, connect: Callable[[], Engine]) -> Reference:
    """The image in an OCI layout or archive at that path, in the registry of that name, or else in the engine.

    Where no engine answers, one in a registry is known by its digest alone.
    """
    if os.path.lexists(name):
        saved = diff.open_image(name, connect)
        check_inputs(name, saved.labels, recipe)
        return Reference(name, saved.digest, lambda: saved)
    registry.check_name(name)
    try:
        engine = connect()
    except SeedbedError:
        repository, tag = Repository.and_tag(name, client.logins(None))
        if repository.registry == docker.auth.INDEX_NAME:
            raise
        return published(repository, tag, recipe)
    if engine.names_registry(name) or not engine.has(name):
        engine.pull(name)
    check_inputs(name, engine.labels(name), recipe)
    return Reference(name, engine.digest(name), lambda: engine.read(name))


def published(repository: Repository, tag: str, recipe: Recipe) -> Reference:
    """The image in a registry, of which manifest and config are read, and no layer."""
    digest = repository.known_digest(tag)
    name = f"{repository}@{digest}"
    try:
        config = from_json(repository.read_blob(from_json(repository.manifest(digest))["config"]["digest"]))
        labels = config["config"]["Labels"]
    except (ValueError, KeyError, TypeError):
        raise SeedbedError(f"{name}: expected one image, with labels, found something else") from None
    check_inputs(name, labels or {}, recipe)
    return Reference(name, digest, lambda: None)


def check_inputs(name: str, labels: Mapping[str, str], recipe: Recipe) -> None:
    """Raise SeedbedError if an image's labels say that this checkout would not make it."""
    if substituted := labels.get(contents.UNLOCKED):
        raise SeedbedError(f"{name}: {unlocked(substituted, recipe)}")
    for label, ours in contents.labels(recipe).items():
        if label.startswith("io.seedbed.") and labels.get(label) != ours:
            raise SeedbedError(
                f"{name}: made from other inputs: its label {label} is {labels.get(label, MISSING)}, this "
                f"checkout's would be {ours}; go to the revision that it was built from"
            )


def unlocked(substituted: str, recipe: Recipe) -> str:
    packages = f"it was made with other Debian packages than those locked ({substituted})"
    return f"nothing to verify: {packages}; run ./build.py lock {recipe.base.name} {recipe.name} and build again"


# ---- rebuilding ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Rebuilds of one image of the catalog in `root`, each compared with the reference."""

    recipe: Recipe
    root: Path
    reference: Reference
    scratch: Path

    def compared(self, cache: Path, changes: Iterable[Change] = (), caches: Caches = "cold") -> Comparison:
        """Rebuild with that cache folder, on a machine so changed, and compare with the reference."""
        rebuilt = self.rebuilt(cache, changes, caches)
        ours = diff.of_store(Store(cache), rebuilt.digest)
        if self.reference.equals(rebuilt):
            return diff.compare(ours, ours)
        theirs = self.reference.open()
        return diff.compare(theirs, ours) if theirs else diff.unlike(self.reference.digest, ours)

    def differs(self, changes: Iterable[Change]) -> bool:
        """Whether without any cache the digest is another on a machine so changed."""
        with self.empty_cache() as cache:
            return not self.reference.equals(self.rebuilt(cache, changes))

    def rebuilt(self, cache: Path, changes: Iterable[Change] = (), caches: Caches = "cold") -> Record:
        return self.rebuild(reduce(lambda machine, change: change(machine), changes, Machine()), cache, caches)

    def rebuild(self, machine: Machine, cache: Path, caches: Caches) -> Record:
        """The record of a build in a process of its own. Raises its SeedbedError as ours."""
        catalog = self.root.absolute()
        if catalog.is_relative_to(paths.ROOT):
            catalog = machine.checkout / catalog.relative_to(paths.ROOT)
        rebuild = [sys.executable, "-m", "builder.reproduce.rebuild", str(catalog), self.recipe.name, caches]
        settings = {"SEEDBED_ENGINE": "none", "SEEDBED_CACHE": str(cache.parent), "PYTHONPATH": str(machine.checkout)}
        done = subprocess.run(
            [*machine.starter, *rebuild],
            cwd=machine.checkout,
            env={**os.environ, **settings, **kits.elsewhere(), **machine.environment},
            umask=machine.umask,
            stdout=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            reason = done.stdout.decode(errors="replace").strip() or f"it ended with status {done.returncode}"
            raise SeedbedError(f"{self.recipe.name}: not rebuilt: {reason}")
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
