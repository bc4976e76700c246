"""Builds, tests, pushes and engines that are killed, run out of disk, meet each other, or find their cache spoiled."""

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

from builder.engine.embedded import host_supported
from builder.oci.store import MANIFEST_TYPE
from tests.torture.bench import HOME, OUR_MESSAGE, Bench, Ended, bench, bring_programs, embedded
from tests.torture.harness import Campaign, Failure
from tests.torture.stock import TINY

POINTS, FULL_POINTS = 20, 5
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDINGS = {  # the statuses after each signal; 0: it had ended already
    signal.SIGKILL: (0, -signal.SIGKILL),
    signal.SIGTERM: (0, -signal.SIGTERM, 128 + signal.SIGTERM),
    signal.SIGINT: (0, -signal.SIGINT, 128 + signal.SIGINT),  # the second: before build.py had begun
}
TAG = "2.4.6-py311"
NAME = f"seedbed/tiny:{TAG}"


class Shop:
    """The bench, open from the first try to the last, and how long an untroubled run of each command takes."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.tested = 0

    @cache  # noqa: B019 - there is one shop
    def bench(self) -> Bench:
        made = self.stack.enter_context(bench())
        made.tidy(made.files())  # of what a campaign that was killed itself has left
        untroubled(made, "build", "tiny")  # for the base, which stays
        made.forget()  # what another version of Seedbed has built
        self.digest = recorded(built(made))
        self.names = made.files()
        return made

    @cache  # noqa: B019
    def seconds(self, command: str) -> float:
        made = self.bench()
        if command == "build":
            made.forget()
        if command == "push":
            made = new_repository(made)
        return untroubled(made, command, "tiny")

    @cache  # noqa: B019
    def second_engine(self) -> Bench:
        """An engine to be killed, beside the one that builds."""
        cache = HOME / "second"
        bring_programs(cache)
        self.stack.callback(embedded(cache).down)
        return replace(self.bench(), cache=cache, environment={"SEEDBED_ENGINE": "embedded"})

    @cache  # noqa: B019
    def engine_seconds(self) -> dict[str, float]:
        return {verb: untroubled(self.second_engine(), "engine", verb) for verb in ("up", "down")}

    def close(self) -> None:
        self.stack.close()


def untroubled(made: Bench, *words: str) -> float:
    """The seconds of a run that has to succeed."""
    ended = made.run(*words)
    if ended.status:
        raise RuntimeError(f"an untroubled {words[0]} fails: {ended.last_line}")
    return ended.seconds


SHOP = Shop()


def recorded(made: Bench) -> str:
    [record] = [json.loads(path.read_text()) for path in (made.root / "records").glob("*.json")]
    return str(record["digest"])


Complaints = Iterator[str]

# ---- killed --------------------------------------------------------------------------------------------------------


def killed(command: str) -> Callable[[Random, int, signal.Signals], Complaints]:
    def act(random: Random, point: int, how: signal.Signals) -> Complaints:
        made, seconds = SHOP.bench(), SHOP.seconds(command)
        prepare, after = KILLED[command]
        made = prepare(made)
        ended = made.run(command, "tiny", kill=(how, seconds * (point + random.random()) / POINTS))
        yield from complaints_about_end(ended, how)
        if how == signal.SIGTERM and made.containers("--filter=status=running"):
            yield "containers still run after SIGTERM"
        yield from ended.left_running()
        yield from made.complaints(settled=False)
        yield from after(made)

    return act


STARTING = ("Fatal Python error: init_", "Failed checking if argv[0] is an import path entry")
"""What Python says that was interrupted before it came to build.py."""


def complaints_about_end(ended: Ended, how: signal.Signals) -> Complaints:
    if ended.stderr.startswith(STARTING):
        return
    if ended.status not in ENDINGS[how]:
        yield f"status {ended.status} after {how.name}: {ended.last_line}"
    if "Traceback (most recent call last)" in ended.stderr:
        yield f"traceback after {how.name}: {ended.last_line}"
    elif ended.status > 0 and not ended.last_line.startswith(OUR_MESSAGE):
        yield f"the last line after {how.name} is none of ours: {ended.last_line}"


def unbuilt(made: Bench) -> Bench:
    made.forget()
    return made


def build_again(made: Bench) -> Complaints:
    yield from completes(made, made.run("build", "tiny"))
    yield from settled(made)


def completes(made: Bench, ended: Ended) -> Complaints:
    if ended.status:
        yield f"the next run fails: {ended.last_line}"
    elif recorded(made) != SHOP.digest:
        yield f"another digest: {recorded(made)} instead of {SHOP.digest}"


def settled(made: Bench) -> Complaints:
    yield from made.complaints(settled=True)
    if more := sorted(made.files() - SHOP.names):
        yield f"leftovers grow: {more[0]}" + f" and {len(more) - 1} more" * (len(more) > 1)
    made.tidy(SHOP.names)


def built(made: Bench) -> Bench:
    if not [*made.root.glob("records/*.json")]:
        untroubled(made, "build", "tiny")
    return made


def untested(made: Bench) -> Bench:
    """The image built, and neither tested nor tagged."""
    made.docker("rmi", NAME)
    [path] = built(made).root.glob("records/*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"smoke": [], "tags": []}))
    return made


def smoke_again(made: Bench) -> Complaints:
    """Tags come with a record that says so. The next run is that of the next point; every fifth is left alone."""
    [record] = [json.loads(path.read_text()) for path in (made.root / "records").glob("*.json")]
    tagged = bool(made.docker("images", "--quiet", NAME).strip())
    if record["tags"] and not tagged:
        yield "the record names a tag that is not there"
    if record["tags"] and any(result["outcome"] == "failed" for result in record["smoke"]):
        yield "tagged although a smoke test failed"
    if SHOP.tested % 5 == 0:
        yield from completes(made, made.run("smoke", "tiny"))
        yield from settled(made)
    SHOP.tested += 1


def new_repository(made: Bench) -> Bench:
    return replace(built(made), environment={"SEEDBED_REPOSITORY": f"{made.registry}/{time.monotonic_ns()}"})


def push_again(made: Bench) -> Complaints:
    """Whatever has a name in the registry is whole: no manifest before all its blobs are there."""
    place = made.environment["SEEDBED_REPOSITORY"].partition("/")[2]
    yield from incomplete_images(made, f"{place}/tiny")
    ended = made.run("push", "tiny")
    if ended.status or not ended.stdout.strip().endswith(SHOP.digest):
        yield f"the next push fails: status {ended.status}: {ended.last_line}"
    yield from incomplete_images(made, f"{place}/tiny")
    if not manifest_of(made, f"{place}/tiny", SHOP.digest):
        yield "the next push has left no manifest"
    yield from settled(made)


def incomplete_images(made: Bench, repository: str) -> Complaints:
    for name in (TAG, SHOP.digest):
        manifest = manifest_of(made, repository, name)
        for blob in [manifest["config"], *manifest["layers"]] if manifest else ():
            if not answered(made, f"{repository}/blobs/{blob['digest']}", method="HEAD"):
                yield f"incomplete: {repository}:{name} lacks {blob['digest']}"


def manifest_of(made: Bench, repository: str, name: str) -> dict:
    answer = answered(made, f"{repository}/manifests/{name}")
    return json.loads(answer) if answer else {}


def answered(made: Bench, path: str, method: str = "GET") -> bytes:
    """What the registry answers; empty for 404."""
    request = urllib.request.Request(f"http://{made.registry}/v2/{path}", method=method)
    request.add_header("Accept", MANIFEST_TYPE)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.read() or b"there"
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return b""


# ---- the engine ----------------------------------------------------------------------------------------------------


def engine_killed(verb: str) -> Callable[[Random, int, signal.Signals], Complaints]:
    def act(random: Random, point: int, how: signal.Signals) -> Complaints:
        made, seconds = SHOP.second_engine(), SHOP.engine_seconds()[verb]
        if verb == "down":
            untroubled(made, "engine", "up")
        ended = made.run("engine", verb, kill=(how, seconds * (point + random.random()) / POINTS))
        yield from complaints_about_end(ended, how)
        for next_verb in ("up", "down"):
            following = made.run("engine", next_verb)
            if following.status:
                yield f"the next engine {next_verb} fails: {following.last_line}"
        yield from ended.left_running()
        yield from (f"left over: {what}" for what in traces_of_engine(made))
        shutil.rmtree(made.temporary, ignore_errors=True)

    return act


def traces_of_engine(made: Bench) -> Iterator[str]:
    """What an engine that is down has left on this host."""
    directory = made.root / "engine"
    name = embedded(made.cache).name
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=False).stdout
    mounts = Path("/proc/self/mounts").read_text()
    if name in links:
        yield f"bridge {name}"
    if Path("/run", name).exists():
        yield f"/run/{name}"
    if str(directory) in mounts:
        yield f"mounts below {directory}"
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(directory).encode() in command.read_bytes():
                yield f"process {command.parent.name}"
    yield from map(str, directory.glob(".install-*"))


# ---- disks ---------------------------------------------------------------------------------------------------------


@contextmanager
def disk() -> Iterator[Path]:
    """A file system of its own that has room for a cache."""
    image = HOME / "disk.img"
    image.unlink(missing_ok=True)
    subprocess.run(["truncate", "--size", "4G", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    try:
        with mounted("-o", "loop", str(image)) as place:
            yield place
    finally:
        image.unlink()


@contextmanager
def small_disk() -> Iterator[Path]:
    with mounted("-t", "tmpfs", "-o", "size=16M", "tmpfs") as place:
        yield place


@contextmanager
def mounted(*what: str) -> Iterator[Path]:
    place = HOME / "disk"
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *what, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(place: Path) -> Path:
    """Take all of its room."""
    filler = place / "filler"
    free = shutil.disk_usage(place).free
    subprocess.run(["fallocate", "--length", str(max(free, 1)), filler], check=False, capture_output=True)
    with suppress(OSError), filler.open("ab", buffering=0) as rest:
        while True:
            rest.write(b"x" * 512)
    return filler


@contextmanager
def cache_on(place: Path, made: Bench) -> Iterator[Bench]:
    """The bench with its cache, a copy, on another file system."""
    shutil.copytree(made.root, place / "cache" / "seedbed", symlinks=True, ignore=shutil.ignore_patterns("records"))
    moved = replace(made, cache=place / "cache")
    moved.forget()
    yield moved


def full_cache(random: Random, point: int, how: signal.Signals) -> Complaints:
    """The cache's disk fills up while a build is on its way."""
    made, seconds = SHOP.bench(), SHOP.seconds("build")
    with disk() as place, cache_on(place, made) as moved:
        process, began = moved.start("build", "tiny"), time.monotonic()
        time.sleep(seconds * (point + random.random()) / FULL_POINTS)
        filler = fill(place)
        ended = moved.ended(process, began)
        yield from complaints_about_failure(ended, "No space left", "disk")
        filler.unlink()
        yield from moved.complaints(settled=False)
        yield from completes(moved, moved.run("build", "tiny"))
        yield from moved.complaints(settled=True)


def complaints_about_failure(ended: Ended, *words: str) -> Complaints:
    """A run that succeeds is fine, too; one that fails says why in one line."""
    if "Traceback (most recent call last)" in ended.stderr:
        yield f"traceback: {ended.last_line}"
    elif ended.status not in (0, 1, 2):
        yield f"status {ended.status}: {ended.last_line}"
    elif ended.status and not ended.last_line.startswith(OUR_MESSAGE):
        yield f"the last line is none of ours: {ended.last_line}"
    elif ended.status and words and not any(word.lower() in ended.last_line.lower() for word in words):
        yield f"names none of {', '.join(words)}: {ended.last_line}"


def full_temporary(random: Random, point: int, how: signal.Signals) -> Complaints:
    """TMPDIR has no room from the start, for each command."""
    made = SHOP.bench()
    made.forget()
    with small_disk() as place:
        full = replace(made, temporary=place / "tmp")
        full.temporary.mkdir()
        fill(place)
        for words in (["build", "tiny"], ["list"], ["smoke", "tiny"]):
            yield from complaints_about_failure(full.run(*words), "No space left", "disk", "not built")
    yield from build_again(made)


def full_output(random: Random, point: int, how: signal.Signals) -> Complaints:
    """What is printed goes to a full disk."""
    made = SHOP.bench()
    for line in ("list", "list --json", "show tiny", "report", "engine env", "--help"):
        with Path("/dev/full").open("wb") as full:
            command = made.command(*line.split())
            done = subprocess.run(command, env=made.variables(), stdout=full, stderr=subprocess.PIPE, check=False)
        ended = Ended(done.returncode, 0, 0, "", done.stderr.decode(errors="replace"))
        if not ended.status:
            yield f"{line}: status 0 although nothing was written"
        yield from (f"{line}: {what}" for what in complaints_about_failure(ended))


def full_catalog(random: Random, point: int, how: signal.Signals) -> Complaints:
    """What `render` writes goes to a full disk: the file stays as it was."""
    made = SHOP.bench()
    with small_disk() as place:
        root = Path(shutil.copytree(TINY, place / "images"))
        text = (root / "tiny" / "image.yaml").read_text()
        (root / "tiny" / "image.yaml").write_text(text.replace("title: Tiny", "title: Teeny"))
        before = (root / "tiny" / "Dockerfile").read_bytes()
        filler = fill(place)
        yield from complaints_about_failure(made.run("render", catalog=root), "No space left", "disk")
        if (root / "tiny" / "Dockerfile").read_bytes() not in (before, before.replace(b"Tiny", b"Teeny")):
            yield "the Dockerfile is half-written"
        filler.unlink()
        if made.run("render", catalog=root).status or list(root.rglob("*.partial*")):
            yield "the next render fails, or leaves something"


def other_file_system(random: Random, point: int, how: signal.Signals) -> Complaints:
    made = SHOP.bench()
    with disk() as place, cache_on(place, made) as moved:
        yield from completes(moved, moved.run("build", "tiny"))
        yield from moved.complaints(settled=True)


def read_only(random: Random, point: int, how: signal.Signals) -> Complaints:
    """A cache that cannot be written: what only reads works, what writes says why not."""
    made = SHOP.bench()
    with disk() as place, cache_on(place, made) as moved:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        for line in ("list", "build tiny", "smoke tiny", "clean"):
            found = complaints_about_failure(moved.run(*line.split()), "Read-only", "not built", "cache")
            yield from (f"{line}: {what}" for what in found)
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        yield from completes(moved, moved.run("build", "tiny"))


# ---- at once, and spoiled ------------------------------------------------------------------------------------------


def two_at_once(random: Random, point: int, how: signal.Signals) -> Complaints:
    """Builds of one image, or of two, in one cache."""
    made, seconds = SHOP.bench(), SHOP.seconds("build")
    made.forget()
    other = TINY
    if point % 2:
        other = HOME / "other" / "images"
        shutil.rmtree(other.parent, ignore_errors=True)
        shutil.copytree(TINY, other)
        for name in ("image.yaml", "Dockerfile"):
            path = other / "tiny" / name
            path.write_text(path.read_text().replace("numpy alone", "numpy by itself"))
        made.run("render", catalog=other)
    began = time.monotonic()
    first = made.start("build", "tiny")
    said = made.said.rename(made.said.with_name("said-first"))
    time.sleep(random.random() * seconds / 2)
    second = made.run("build", "tiny", catalog=other)
    status = first.wait(600)
    words = (said / "stderr").read_text(errors="replace").splitlines() or [""]
    shutil.rmtree(said)
    for which, found, line in (("first", status, words[-1]), ("second", second.status, second.last_line)):
        if found:
            yield f"the {which} build fails after {time.monotonic() - began:.0f} s: {line}"
    digests = [json.loads(path.read_text())["digest"] for path in (made.root / "records").glob("*.json")]
    if SHOP.digest not in digests or len(digests) != 1 + point % 2:
        yield f"expected {SHOP.digest}, found {', '.join(digests) or 'no record'}"
    yield from made.complaints(settled=True)
    made.forget()


def spoiled(kind: str) -> Callable[[Random, int, signal.Signals], Complaints]:
    """A flipped bit in what the cache holds: the next run makes the right image, or says which file to delete."""

    def act(random: Random, point: int, how: signal.Signals) -> Complaints:
        made = SHOP.bench()
        made.forget()
        if kind in ("layers", "blobs", "records"):
            made.run("build", "tiny")
        if kind in ("layers", "blobs"):
            shutil.rmtree(made.root / "records")
        if kind == "packages":
            for path in made.base_files:
                path.rename(HOME / path.name)
        pattern = {"wheels": "wheels/*/*.whl", "blobs": "blobs/sha256/*"}.get(kind, f"{kind}/*")
        victim = random.choice(sorted(path for path in made.root.glob(pattern) if path.is_file()))
        good = victim.read_bytes()
        flip(random, victim)
        try:
            ended = made.run("build", "tiny")
            yield from complaints_about_failure(ended, victim.name, victim.name.partition("_")[0])
            if ended.status:
                if victim.exists() and victim.name in ended.last_line and "delete" in ended.last_line:
                    victim.unlink()
                    restore(victim, good) if kind in ("wheels", "packages") else None  # as if fetched again
                ended = made.run("build", "tiny")
            yield from completes(made, ended)
        finally:
            restore(victim, good)
            for path in made.base_files if kind == "packages" else ():
                (HOME / path.name).replace(path)
        made.forget()
        yield from completes(made, made.run("build", "tiny"))

    return act


def flip(random: Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    restore(path, bytes(data))


def restore(path: Path, data: bytes) -> None:
    """As a new file: the old one may be a hard link to somebody else's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.torture")
    new.write_bytes(data)
    new.replace(path)


def spoiled_lock(random: Random, point: int, how: signal.Signals) -> Complaints:
    """A flipped bit in a lock of the catalog: refused, or of no consequence."""
    made = SHOP.bench()
    root = HOME / "catalog"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(TINY, root)
    victim = random.choice(sorted(root.rglob("*.lock")))
    flip(random, victim)
    ended = made.run("build", "tiny", catalog=root)
    yield from complaints_about_failure(ended, victim.name, "tiny", "base")
    shutil.rmtree(root)
    made.forget()
    yield from completes(made, made.run("build", "tiny"))


KILLED = {
    "build": (unbuilt, build_again),
    "smoke": (untested, smoke_again),
    "push": (new_repository, push_again),
}
SCENES: list[tuple[str, Callable[[Random, int, signal.Signals], Complaints], int, int]] = [
    # what, how, how many points in the long form, and in the short one
    ("killed build", killed("build"), POINTS, 2),
    ("killed smoke", killed("smoke"), POINTS, 0),
    ("killed push", killed("push"), POINTS, 2),
    ("killed engine up", engine_killed("up"), POINTS, 0),
    ("killed engine down", engine_killed("down"), POINTS, 0),
    ("full cache", full_cache, FULL_POINTS, 0),
    ("full temporary folder", full_temporary, 1, 0),
    ("full output", full_output, 1, 1),
    ("full catalog", full_catalog, 1, 1),
    ("two builds at once", two_at_once, 4, 1),
    ("spoiled wheel", spoiled("wheels"), 2, 0),
    ("spoiled package", spoiled("packages"), 1, 0),
    ("spoiled layer", spoiled("blobs"), 3, 0),
    ("spoiled note of a layer", spoiled("layers"), 2, 0),
    ("spoiled record", spoiled("records"), 2, 0),
    ("spoiled lock", spoiled_lock, 2, 1),
    ("read-only cache", read_only, 1, 0),
    ("cache on another file system", other_file_system, 1, 0),
]


def cases(column: int) -> list[tuple[str, Callable[[Random, int, signal.Signals], Complaints], int]]:
    """Every case of a form by its number; the short one's points are spread over the whole run."""
    return [
        (name, act, point * (POINTS // scene[column]) if column == 3 and scene[2] == POINTS else point)
        for scene in SCENES
        for name, act in [scene[:2]]
        for point in range(scene[column])
    ]


LONG, SHORT = cases(2), cases(3)


def attempt(seed: int, number: int, *, show: bool, short: bool) -> Failure | None:
    """One case; the signals take turns, and begin with another one for another seed."""
    every = SHORT if short else LONG
    name, act, point = every[number % len(every)]
    how = SIGNALS[(point + seed + number // len(every)) % len(SIGNALS)]
    what = f"{name}: at point {point}" + (f", {how.name}" if name.startswith("killed") else "")
    SHOP.bench()
    try:
        complaints = tuple(act(Random(f"crashes {seed} {number}"), point, how))
    except Exception as error:
        complaints = (f"the campaign itself fails: {error!r}",)
    print(f"{number:4} {what}: {'; '.join(complaints) or 'fine'}", flush=True)
    if not complaints:
        return None
    failure = Failure("crashes", seed, number, what, complaints, "--short" if short else "")
    shutil.rmtree(failure.folder, ignore_errors=True)
    failure.folder.mkdir(parents=True)
    (failure.folder / "report.txt").write_text("\n".join([failure.command, what, *complaints, ""]))
    for said in HOME.glob("said-*"):
        shutil.copytree(said, failure.folder / said.name)
    return failure


CAMPAIGN = Campaign(
    "crashes", len(LONG), len(SHORT), attempt, parallel=False, obstacle=host_supported, close=SHOP.close
)
