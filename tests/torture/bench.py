"""Where real builds are tortured: an engine, a registry and a cache of their own.

All of it is in one folder, which keeps what is dear to make (downloads, the base's layer, the engine) from run to run.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks import loopback
from builder import paths
from builder.catalog import models as catalog
from builder.cli.cleaning import MARK, MARK_TEXT
from builder.engine import client
from builder.image import recipe as recipes
from builder.oci.store import Store
from tests.bases import base_files
from tests.torture.stock import TINY

HOME = Path(os.environ.get("TORTURE_HOME") or paths.cache().with_name("seedbed-torture"))
ENGINE = HOME / "engine"
PATIENCE = 900.0  # seconds for a command that is left alone
PATIENCE_WITH_CHILDREN = 30
UNFINISHED = (".writing-*", "*.partial")
OUR_MESSAGE = "seedbed: "


@dataclass(frozen=True)
class Ended:
    """A command that is over: its status, negative for a signal, its process group, how long it took, what it said."""

    status: int
    group: int
    seconds: float
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        return (self.stderr.splitlines() or [""])[-1]

    def left_running(self) -> Iterator[str]:
        """What it has started ends soon, too, even when it was killed itself."""
        try:
            for _ in range(PATIENCE_WITH_CHILDREN * 10):
                os.killpg(self.group, 0)
                time.sleep(0.1)
            os.killpg(self.group, signal.SIGKILL)
            yield "left a process running"
        except ProcessLookupError:
            return


@dataclass(frozen=True)
class Bench:
    """`cache`: that of the builds, which has the base's layer and the downloads; the engine has another."""

    cache: Path
    registry: str
    temporary: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The folder that Seedbed keeps in the cache."""
        return self.cache / "seedbed"

    def command(self, *words: str, catalog: Path = TINY) -> list[str]:
        return [str(paths.ROOT / "build.py"), "--catalog", str(catalog), *words]

    def variables(self) -> dict[str, str]:
        engines = embedded(ENGINE).environment()
        own = {"SEEDBED_CACHE": str(self.cache), "SEEDBED_ENGINE": "host", "TMPDIR": str(self.temporary)}
        return {**os.environ, "SEEDBED_MODE": "strict", **engines, **own, **self.environment}

    def start(self, *words: str, catalog: Path = TINY) -> subprocess.Popen[bytes]:
        self.temporary.mkdir(exist_ok=True)
        self.said.mkdir(exist_ok=True)
        with (self.said / "stdout").open("wb") as output, (self.said / "stderr").open("wb") as errors:
            return subprocess.Popen(
                self.command(*words, catalog=catalog),
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                preexec_fn=hear_interrupts,
            )

    @property
    def said(self) -> Path:
        return HOME / f"said-{self.cache.name}"

    def run(self, *words: str, catalog: Path = TINY, kill: tuple[signal.Signals, float] | None = None) -> Ended:
        """Run it to its end, or to that many seconds, when it gets the signal: Ctrl-C goes to the whole group."""
        process, began = self.start(*words, catalog=catalog), time.monotonic()
        if kill:
            with suppress(subprocess.TimeoutExpired):
                process.wait(kill[1])
            if process.poll() is None:
                (os.killpg if kill[0] == signal.SIGINT else os.kill)(process.pid, kill[0])
        return self.ended(process, began)

    def ended(self, process: subprocess.Popen[bytes], began: float) -> Ended:
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        said = [(self.said / name).read_text(errors="replace") for name in ("stdout", "stderr")]
        return Ended(status, process.pid, time.monotonic() - began, *said)

    # ---- what may be there -----------------------------------------------------------------------------------------

    @cached_property
    def base_files(self) -> set[Path]:
        """The base's layer and its note: to make them takes most of a build."""
        loaded = catalog.load(TINY)
        return {*base_files(recipes.resolve(loaded, loaded.image("tiny")), Store(self.root))}

    def forget(self) -> None:
        """All that builds have made, but for the base."""
        for folder in ("layers", "blobs/sha256", "records", "scratch"):
            for path in (self.root / folder).glob("*"):
                if path not in self.base_files:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def files(self) -> set[str]:
        """What the cache holds, by name; where apt keeps its lists, it alone decides."""
        every = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return {str(path) for path in every if path.parts[0] not in ("apt", "engine")}

    def complaints(self, *, settled: bool) -> Iterator[str]:
        """What has its final name is whole; where all is settled, nothing unfinished is left."""
        yield from self.broken()
        if settled:
            yield from (f"left over: {path}" for path in self.unfinished())
            yield from (f"left over: container {name}" for name in self.containers())

    def broken(self) -> Iterator[str]:
        for path in self.root.glob("blobs/sha256/*"):
            if not path.name.startswith(".") and sha256_of(path) != path.name:
                yield f"incomplete: {path}"
        for path in self.root.glob("wheels/*/*.whl"):
            if sha256_of(path) != path.parent.name:
                yield f"incomplete: {path}"
        for path in (*self.root.glob("layers/*.json"), *self.root.glob("records/*.json")):
            try:
                json.loads(path.read_bytes())
            except ValueError:
                yield f"incomplete: {path}"

    def unfinished(self) -> list[Path]:
        found = [path for pattern in UNFINISHED for path in self.root.rglob(pattern)]
        return [*found, *self.root.glob("scratch/*"), *self.temporary.glob("*")]

    def containers(self, *options: str) -> list[str]:
        """Every container there is in the engine, which is nobody else's; with `--filter=status=running`, those."""
        return self.docker("ps", "--all", "--no-trunc", "--quiet", *options).split()

    def docker(self, *words: str) -> str:
        done = subprocess.run(["docker", *words], env=self.variables(), capture_output=True, text=True, check=False)
        return done.stdout

    def tidy(self, names: set[str]) -> None:
        """Take away what should not be there, so that the next try is not blamed for it."""
        for path in [*self.unfinished(), *(self.root / name for name in self.files() - names)]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        if found := self.containers():
            self.docker("rm", "--force", "--volumes", *found)


def hear_interrupts() -> None:
    """Who is started in the background ignores Ctrl-C, and so would the commands."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def embedded(cache: Path) -> client.EmbeddedEngine:
    """The engine of a cache. Two caches have two, which may run side by side."""
    return client.EmbeddedEngine(cache / "seedbed" / "engine")


@contextmanager
def bench() -> Iterator[Bench]:
    """The bench, whose engine stops at the end."""
    HOME.mkdir(exist_ok=True)
    bring_programs(ENGINE)
    embedded(ENGINE).up()
    try:
        program = loopback.unpack_registry(HOME / "registry-program")
        with loopback.running(program, HOME / f"registry-{os.getpid()}") as registry:
            made = Bench(HOME / "cache", registry.address, HOME / "tmp")
            bring_downloads(made.root)
            yield made
    finally:
        embedded(ENGINE).down()


def bring_programs(cache: Path) -> None:
    """A copy of the engine's programs, if the user's own cache has them: it is fetched otherwise."""
    ours, theirs = (root / "engine" / "programs" for root in (cache / "seedbed", paths.cache()))
    if theirs.exists() and not ours.exists():
        shutil.copytree(theirs, ours, symlinks=True)
    if not (mark := cache / "seedbed" / MARK).exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(MARK_TEXT)


def bring_downloads(root: Path) -> None:
    """Copies, which may be spoiled, of what the user's own cache has of the tiny image's wheels, packages and base."""
    if (root / MARK).exists():
        return
    loaded, cache = catalog.load(TINY), paths.cache()
    recipe = recipes.resolve(loaded, loaded.image("tiny"))
    wanted = [cache / "wheels" / pin.sha256 for pin in recipe.wheels.wheels]
    wanted += [cache / "packages", cache / "apt", *base_files(recipe, Store(cache))]
    for source in (source for source in wanted if source.exists()):
        target = root / source.relative_to(cache)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy(source, target)
    (root / MARK).write_text(MARK_TEXT)
