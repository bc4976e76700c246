"""Where Debian is handled: on this host, or, where it is no Debian or we are not root, in a container of Debian."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builder import files, paths
from builder.catalog.models import Base
from builder.engine import client, throwaway
from builder.engine.client import Engine
from builder.engine.throwaway import STORE, Debian, Throwaway
from builder.errors import SeedbedError
from builder.image import assemble, build, kits, record
from builder.image.build import Options
from builder.image.load import Loader, load
from builder.image.recipe import Recipe
from builder.image.record import Record
from builder.lock import packages
from builder.oci.store import MANIFEST_TYPE, blob_path

log = logging.getLogger(__name__)
REFERENCE = f"{throwaway.GIVEN}/against"


class EndedThere(SeedbedError):
    """A command failed in the container, and has said why."""

    def __init__(self, status: int) -> None:
        super().__init__("")
        self.exit_status = status


@contextmanager
def workplace(root: Path, bases: Iterable[Base]) -> Iterator["Here | There"]:
    """Where to work on images of the catalog in `root`; a container is of the Debian that the first base names."""
    with ExitStack() as stack:
        engine, base = throwaway.chosen(), next(iter(bases), None)
        yield There(engine, root, Debian(base.registry, base.suite), stack) if engine and base else Here()


class Here:
    """This host."""

    def build_and_load(self, recipe: Recipe, options: Options) -> Record:
        """Build the image, and give it to the engine that runs already, if there is one."""
        engine = client.running()
        if engine is None:
            return build.build(recipe, options, client.connect)
        with Loader(recipe.name, engine).at_work() as loader:
            built = build.build(recipe, options, client.connect, loader.grown)
            loader.load(built)
        return built

    def lock(self, base: Base, cutoff: str) -> None:
        packages.write(base, packages.make(base, cutoff))

    def bring(self, built: Record) -> None:
        """It was built into this host's store."""

    def fetch(self, recipe: Recipe, *, tests: bool) -> None:
        count = kits.fetch(recipe, tests=tests)
        log.info(f"{recipe.name}: {count} files are in {paths.cache()}: a build needs no network")

    def bring_packages(self, recipe: Recipe) -> None:
        """Bring the locked Debian packages into this host's cache."""
        kits.fetch_packages(recipe)


@dataclass
class There:
    """A container, from when on it is needed until `stack` ends."""

    engine: Engine
    root: Path
    debian: Debian
    stack: ExitStack

    @cached_property
    def container(self) -> Throwaway:
        return self.stack.enter_context(throwaway.throwaway(self.engine, self.debian, self.root))

    def run(self, *arguments: str) -> None:
        """Run a command of build.py there; raises EndedThere if it fails."""
        if status := self.container.build_py("--catalog", throwaway.catalog_in(self.root), *arguments):
            raise EndedThere(status)

    def build_and_load(self, recipe: Recipe, options: Options) -> Record:
        """Build the image there, and give it to the engine."""
        built = self.build(recipe, options)
        load(built, self.engine, self.served(), self.bring)
        return built

    def build(self, recipe: Recipe, options: Options) -> Record:
        known = build.find(recipe, options)
        if known and options.take(known) and self.engine.find(known.digest, known.config):
            log.info(f"{recipe.name}: nothing changed; it is {known.digest}")
            return known
        flags = {"--locked": options.locked, "--no-cache": not options.cached}
        self.run("build", recipe.name, *(flag for flag, wanted in flags.items() if wanted))
        note = record.path_of(build.inputs_of(recipe, options)).name
        built = Record.model_validate_json(self.container.read(f"{STORE}/records/{note}"))
        built = built.with_tests_of(known)
        built.save()
        return built

    def lock(self, base: Base, cutoff: str) -> None:
        self.run("lock", base.name, "--cutoff", cutoff.partition("T")[0])
        catalog = throwaway.catalog_in(self.root)
        files.write(base.lock_path, self.container.read(f"{catalog}/{base.name}/{base.lock_path.name}"))

    def verify(self, images: Sequence[str], against: str | None = None, *options: str) -> None:
        """Rebuild the images there, and compare them there; what `against` names is brought."""
        if against:
            self.take_along(against)
        self.run("verify", *images, *(["--against", REFERENCE] if against else []), *options)

    def take_along(self, reference: str) -> None:
        """Put an image into the container as an OCI layout: that of a file or folder, or one of the engine's."""
        if os.path.lexists(reference):
            self.container.put({REFERENCE: Path(reference)})
            return
        if self.engine.names_registry(reference) or not self.engine.has(reference):
            self.engine.pull(reference)
        self.container.put_archive(REFERENCE, self.engine.client.images.get(reference).save())

    @cached_property
    def address(self) -> str:
        """Where the container serves its store, from now on."""
        return self.container.serve()

    @contextmanager
    def served(self) -> Iterator[str]:
        yield self.address

    def bring(self, built: Record) -> None:
        store = assemble.store()
        for digest in (built.digest, built.config, *(layer.digest for layer in built.layers)):
            if store.blob(digest).exists():
                continue
            where = f"{STORE}/{blob_path(digest)}"
            with self.container.opened(where) as blob, store.new_blob() as copy:
                shutil.copyfileobj(blob, copy, 1 << 20)
                found = copy.commit(MANIFEST_TYPE).digest
            if found != digest:
                raise SeedbedError(f"{where}: expected {digest}, found {found}; run ./build.py build --no-cache")

    def fetch(self, recipe: Recipe, *, tests: bool) -> None:
        self.run("fetch", recipe.name, *(["--smoke"] if tests else []))

    def bring_packages(self, recipe: Recipe) -> None:
        """Bring the locked Debian packages there, and from there into this host's cache."""
        if missing := kits.missing_packages(recipe):
            self.run("kit", recipe.name, "--output", "/tmp/kit")
        for package in missing:
            with self.container.opened(str(package.file(Path(STORE, "packages")))) as data:
                kits.take_in(package, data, "the container")
