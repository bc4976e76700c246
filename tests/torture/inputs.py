"""Spoiled inputs: everything Seedbed reads, broken in small ways. One try reads one of them, as its command would."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

from seedbed import cli
from seedbed.recording import launch
from seedbed.recording import record as records
from seedbed.trace.run import Run, Tracer

from builder import files
from builder.cli.main import seedbed as builder_commands
from builder.layers import kit as kits
from builder.layers import wheels
from builder.layers.kit import KitAtHand
from builder.layers.parts import Part
from builder.oci.store import Store
from tests.torture import registries, stock
from tests.torture.harness import Campaign, Outcome, Try, as_command, attempt, quoted
from tests.torture.mutations import ODD_TEXTS, copy_of, other_bytes, spoil
from tests.wheels import Recipe, wheel_at

RUNTIME_STATUSES = (0, 1, 2, os.EX_IOERR, 77, 127)


def build_py(*arguments: str) -> Callable[[], object]:
    return lambda: builder_commands.main(list(arguments), prog_name="build.py")


def seedbed(*arguments: str) -> Callable[[], object]:
    return lambda: cli.main(list(arguments))


# ---- the builder's -------------------------------------------------------------------------------------------------

CATALOG_COMMANDS = (
    *(["list"], ["list", "--json"], ["lock", "--check"], ["render", "--check"], ["render"], ["report"]),
    *(["build"], ["push"]),
)


def catalog(random: Random, folder: Path) -> Try:
    """A file of the catalog."""
    root = copy_of(random.choice(stock.catalogs()), folder / "images")
    images = sorted(path.parent.name for path in root.glob("*/image.yaml"))
    files = sorted(path for path in root.rglob("*") if path.is_file())
    weights = [5 if path.suffix in (".yaml", ".lock") else 1 for path in files]
    [file] = random.choices(files, weights)
    done = spoil(random, file)
    command = random.choice([*CATALOG_COMMANDS, ["show", random.choice(images)]])
    names = (file.name, "image.yaml", "requirements", "images:", "not be fetched", "not fetched", *images)

    def run() -> None:
        wheels.DOWNLOADS_AT_ONCE = 1  # where there is no network, each is a pip that fails
        build_py("--catalog", "images", *command)()

    return Try(
        f"catalog: {done}; {quoted(command)}",
        run,
        names,
        environment={"SEEDBED_REPOSITORY": "127.0.0.1:9/team"},
        writes=("images/*/Dockerfile", *OWN_CACHE) if command == ["render"] else (*OWN_CACHE, *OF_DOWNLOADS),
    )


OWN_CACHE = ("cache", "cache/seedbed", "cache/seedbed/CACHEDIR.TAG")
OF_DOWNLOADS = (
    "cache/seedbed/apt",
    "cache/seedbed/apt/*",
    "cache/seedbed/packages",
    "cache/seedbed/packages/scratch",
    "cache/seedbed/scratch",
)


def build_record(random: Random, folder: Path) -> Try:
    """The record of a build, or the layer that a report looks into."""
    cache = copy_of(stock.cache_with_record(), folder / "cache")
    file = random.choice([*cache.rglob("records/*.json")] * 3 + [*cache.rglob("blobs/sha256/*")])
    done = spoil(random, file)
    command = random.choice((["list"], ["list", "--json"], ["show", "tiny"], ["report"], ["report", "--json"]))
    return Try(
        f"build record: {done}; {quoted(command)}",
        build_py("--catalog", str(stock.TINY), *command),
        ("tiny", file.name),
        writes=("cache/seedbed/records", "cache/seedbed/blobs/sha256/*"),
    )


def layout(random: Random, folder: Path) -> Try:
    """An OCI layout or archive, compared with a good one: spoiled as it is, or with digests that still agree."""
    one, other = (copy_of(source, folder / source.name) for source in stock.layouts())
    target = random.choice((one, other))
    done = spoil_layout(random, target)
    names = [one.name, other.name]
    if random.random() < 0.3:
        stock.archive_of(target, folder / "image.tar") if (target / "index.json").is_file() else None
        if (archive := folder / "image.tar").exists():
            names[names.index(target.name)] = archive.name
            done += f", then {spoil(random, archive)}" if random.random() < 0.5 else ", in a tar"
    command = ["diff", *names, *random.choice(([], ["--json"]))]
    return Try(f"layout: {done}; {quoted(command)}", build_py(*command), tuple(names), answers=True)


def rebuild_kit(random: Random, folder: Path) -> Try:
    """A kit as a layout or archive, spoiled in the same ways: no package with other bytes comes out of it."""
    source, packages = stock.rebuild_kit()
    root = copy_of(source, folder / "kit")
    done = spoil_layout(random, root)
    path, into = Path("kit"), folder / "packages"
    if random.random() < 0.5 and (root / "index.json").is_file():
        path = Path("kit.tar")
        stock.archive_of(root, folder / path)
        done += f", then {spoil(random, folder / path)}" if random.random() < 0.5 else ", in a tar"

    def check(outcome: Outcome) -> list[str]:
        return [f"{deb.name} has other bytes" for deb in into.glob("*.deb") if files.sha256(deb) != deb.stem]

    return Try(
        f"rebuild kit: {done}",
        as_command(lambda: kits.fetch([KitAtHand(path)], packages, into)),
        ("kit", *(package.name for package in packages)),
        writes=("packages", "packages/*.deb"),
        check=check,
    )


def spoil_layout(random: Random, root: Path) -> str:
    file = random.choice([root / "index.json", *sorted((root / "blobs/sha256").iterdir())])
    consistent = random.random() < 0.6 and file.name != "index.json"
    if consistent and file.read_bytes().startswith(b"{"):
        document = file.rename(file.with_suffix(".json"))  # so that its values are spoiled, too
        done = spoil(random, document)
        if document.is_symlink() or not document.is_file():
            return done
        rename(root, document, file.name)
        return f"{done}, digests agree"
    done = spoil(random, file)
    if consistent and file.is_file() and not file.is_symlink():
        rename(root, file, file.name)
        return f"{done}, digests agree"
    return done


def rename(root: Path, blob: Path, before: str) -> None:
    """Give a blob the name it has a right to, in all documents that name it, and them theirs."""
    after = hashlib.sha256(blob.read_bytes()).hexdigest()
    blob.rename(blob.with_name(after))
    for path in [root / "index.json", *sorted((root / "blobs/sha256").iterdir())]:
        if (
            before != after
            and path.is_file()
            and (text := path.read_bytes()).startswith(b"{")
            and before.encode() in text
        ):
            path.write_bytes(text.replace(before.encode(), after.encode()))
            if path.name != "index.json":
                rename(root, path, path.name)


def wheel(random: Random, folder: Path) -> Try:
    """A wheel with the right hash that is no good wheel."""
    wheels = folder / "wheels"
    recipe = Recipe(entry_points="[console_scripts]\ndemo = demo:main\n")
    path = recipe.make(wheels).path
    done = (spoil if random.random() < 0.5 else packed_anew)(random, path)
    if path.is_symlink() or not path.is_file():
        path.unlink(missing_ok=True) if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
        Recipe().make(wheels)
    part = Part([wheel_at(path)])

    def make() -> None:
        stock.layer(part, Store(folder / "cache"))

    writes = ("cache", "cache/blobs", "cache/blobs/sha256", "cache/blobs/sha256/?*", "cache/layers", "cache/layers/*")
    return Try(f"wheel: {done}", as_command(make), ("demo",), writes=writes)


PRINTABLE = [text for text in ODD_TEXTS if text.isprintable() and len(text) < 60_000]


def packed_anew(random: Random, path: Path) -> str:
    """Spoil one file in a wheel, and pack it again."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(sorted(files))
    if random.random() < 0.2:
        files[random.choice(PRINTABLE)] = b"x"
    else:
        files[name] = other_bytes(random, files[name])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name or "-"), data)
    return f"{name[:80]} in the wheel"


def store(random: Random, folder: Path) -> Try:
    """What the cache remembers of a layer, and the layer."""
    part, root = Part([Recipe().make(folder / "wheels")]), folder / "cache"

    def make() -> None:
        stock.layer(part, Store(root))

    make()
    files = sorted((root / "layers").iterdir()) * 2 + sorted((root / "blobs/sha256").iterdir())
    done = spoil(random, random.choice(files))
    return Try(f"store: {done}", as_command(make), ("cache",), writes=("cache/blobs/sha256/*", "cache/layers/*"))


BUILD_WORDS = (
    *("list", "show", "report", "render", "build", "smoke", "verify", "diff", "push", "doctor", "clean"),
    *("lock --check", "engine env", "engine down", "engine", "lock --check --cutoff", "show --json", "clean --all"),
    *("--catalog", "--catalog images", "--json", "--help", "--check", "--cutoff", "2026-11-20", "--format", "spdx"),
    *("--gpu", "off", "--vary", "--keep", "--against", "--locked", "--recipe", "--base", "registry", "--no-cache"),
    *("tiny", "base", "pytorch", ".", "images", "--", "--against=image.tar", "one", "two", "/dev/null"),
)


def build_line(random: Random, folder: Path) -> Try:
    """A command line of ./build.py, with no engine at hand."""
    copy_of(stock.catalogs()[0], folder / "images")
    copy_of(stock.layouts()[0], folder / "one")
    words = ["--catalog", "images"] if random.random() < 0.7 else []
    words += line_of(random, BUILD_WORDS)
    if "lock" in words and "--check" not in words:
        words.append("--check")  # without it, the network is asked
    variables = {name: random.choice(VALUES) for name in random.sample(BUILD_VARIABLES, random.choice((0, 0, 1)))}
    if {"up", "--host"} & {*words}:
        words = ["list"]
    return Try(
        f"build.py: {shown_variables(variables)}{quoted(words)}",
        build_py(*words),
        environment=variables,
        writes=("*",) if "SEEDBED_CACHE" in variables else ("cache", "cache/*", "images/*/Dockerfile"),
        answers=True,
        usage=True,
    )


BUILD_VARIABLES = (
    "SEEDBED_CACHE",
    "SEEDBED_ENGINE",
    "SEEDBED_REPOSITORY",
    "SEEDBED_SNAPSHOT",
    "DOCKER_HOST",
    "COLUMNS",
)


# ---- the runtime's -------------------------------------------------------------------------------------------------

RUN_WORDS = (
    *("info", "run", "verify -n 2", "compare", "replay", "golden", "trace -n 2", "sweep", "sweep --seeds 2", "resume"),
    *("--json", "--help", "--seed", "7", "--mode", "warn", "--record", "rec", "--portable", "--audit", "-n", "--lines"),
    *("--tolerance", "1e-6", "--keep", "kept", "--output", "out", "--data", "--metric", "loss", "--pattern", r"(\d+)"),
    *("--file", "--parallel", "2", "record", "golden.json", "--image", "--hunt", "--no-other-seed", "--seeds", "1,7"),
    *("--at 1", "--signal TERM", "--signal", "--with true", "--with", "--resume"),
    *("-- true", "-- false", "-- echo loss 1", "--", "-- no-such-command", "-- echo"),
)


def line_of(random: Random, words: Sequence[str]) -> list[str]:
    """A few words of a command line, one in five an odd one."""
    chosen = [random.choice(words[:20]), *random.choices(words, k=random.randrange(6))]
    line = [part for word in chosen for part in word.split()]
    for at in range(len(line)):
        if random.random() < 0.1:
            line[at] = random.choice(VALUES)
    return line


VALUES = [text for text in ODD_TEXTS if "\x00" not in text and len(text) < 1000 and not text.startswith("/")] + [
    *(
        "0",
        "-1",
        "4294967295",
        "4294967296",
        "9" * 400,
        "1e400",
        "3,3",
        ",",
        "a=b",
        "'",
        '"',
        "\\",
        "\\033[31m",
        "strict",
    ),
    *("warn", "off", "1", "true", "[", "(", "*", "localhost:9/x", "tcp://127.0.0.1:9", "http://[", "x" * 900),
]


def seedbed_line(random: Random, folder: Path) -> Try:
    """A command line of `seedbed`."""
    copy_of(stock.run_record(), folder / "record")
    shutil.copy(stock.golden(), folder)
    words = line_of(random, RUN_WORDS)
    if "--" not in words:
        words += ["--", "true"]
    return Try(
        f"seedbed: {quoted(words)}",
        seedbed(*words),
        environment=runtime_variables(random),
        writes=("*",),
        statuses=RUNTIME_STATUSES,
        answers=True,
    )


def runtime_variables(random: Random) -> dict[str, str]:
    """Seldom more than those that the image has."""
    if random.random() < 0.7:
        return {}
    return {name: random.choice(VALUES) for name in random.sample(HOOK_VARIABLES, random.choice((1, 2)))}


RECORD_COMMANDS = (
    *("compare one two", "compare two one", "compare --json one two", r"compare --lines loss.(\d+) one two"),
    *("compare --tolerance 0.1 one two", "replay one", "replay --image tiny one"),
)


def run_record(random: Random, folder: Path) -> Try:
    """What `seedbed run --record` left."""
    for name in ("one", "two"):
        copy_of(stock.run_record(), folder / name)
    file = random.choice(sorted((folder / "one").iterdir()))
    done = spoil(random, file)
    command = random.choice(RECORD_COMMANDS).split()
    return Try(
        f"run record: {done}; {quoted(command)}",
        seedbed(*command),
        ("one", file.name),
        statuses=RUNTIME_STATUSES,
        answers=True,
    )


def golden(random: Random, folder: Path) -> Try:
    """golden.json."""
    file = Path(shutil.copy(stock.golden(), folder))
    done = spoil(random, file)
    command = ["golden", *random.choice(([], ["--record"])), file.name, "--", "true"]

    def run() -> object:
        launch.run = lambda *_, **__: records.read(stock.run_record())
        return cli.main(command)

    return Try(
        f"golden: {done}; {quoted(command)}",
        run,
        (file.name,),
        writes=(file.name,) if "--record" in command else (),
        statuses=RUNTIME_STATUSES,
        answers=True,
    )


def sweep(random: Random, folder: Path) -> Try:
    """sweep.json, and the records of the seeds that have been run."""
    root = copy_of(stock.sweep(), folder / "sweep")
    file = random.choice([root / "sweep.json"] * 3 + sorted(root.glob("seed-*/record/*")))
    done = spoil(random, file)
    options = random.choice(
        ([], ["--json"], ["--metric", "accuracy"], ["--pattern", r"(\S+)"], ["--file", str(file.relative_to(folder))])
    )
    command = ["sweep", "--seeds", "2", *options, "--", "echo", "loss 0.5"]
    return Try(
        f"sweep: {done}; {quoted(command)}",
        seedbed(*command),
        ("sweep",),
        writes=("sweep/*",),
        statuses=RUNTIME_STATUSES,
        answers=True,
    )


def journal(random: Random, folder: Path) -> Try:
    """The journals of traced runs."""
    runs = [copy_of(source, folder / source.name) for source in stock.journals()]
    file = random.choice([runs[0] / "0-1.jsonl"] * 4 + [runs[1] / "0-1.jsonl", runs[0] / "output.txt"])
    done = spoil(random, file)
    command = ["trace", "-n", "2", *random.choice(([], ["--json"])), "--", "true"]

    def run() -> object:
        given = iter(runs * 9)
        Tracer.run = lambda *_: Run(next(given), 0, 1.0)
        return cli.main(command)

    return Try(
        f"journal: {done}; {quoted(command)}",
        run,
        (file.name, "run-1", "run-2"),
        statuses=RUNTIME_STATUSES,
        answers=True,
    )


HOOK_VARIABLES = (
    *("SEEDBED_SEED", "SEEDBED_MODE", "SEEDBED_QUIET", "SEEDBED_IMAGE", "SEEDBED_RANK_OFFSET", "SEEDBED_NAMERS"),
    *("SEEDBED_SAMPLERS", "SEEDBED_AUDIT", "SEEDBED_FILL_UNINITIALIZED", "SEEDBED_LINEAGE", "SEEDBED_NATIVE"),
    *("CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "RANK", "LOCAL_RANK", "NODE_RANK", "TF_CONFIG", "SLURM_PROCID"),
    *("WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "HOME", "USER"),
)
PLACES = ("", ".", "missing", "file", "tmp", "home/a\nb", "/dev/null", "/proc/self", "tmp/" + "x" * 300, "\udcff")
DRAW = "import random; print(random.random())"


def variables_of(random: Random) -> dict[str, str]:
    chosen = {name: random.choice(VALUES) for name in random.sample(HOOK_VARIABLES, random.choice((1, 1, 2, 3)))}
    if random.random() < 0.2:
        chosen[random.choice(("SEEDBED_RECORD", "SEEDBED_TRACE", "SEEDBED_AUDIT_FILE"))] = random.choice(PLACES)
    return chosen


def shown_variables(variables: dict[str, str]) -> str:
    return "".join(f"{name}={value[:60]!a} " for name, value in variables.items())


def hook(random: Random, folder: Path) -> Try:
    """The hook in a Python of its own: it never goes on unseeded with status 0."""
    (folder / "file").touch()
    variables = variables_of(random)
    once = f'{stock.python()} -c "{DRAW}"'
    twice = f"a=$({once}) || exit $?; b=$({once}) || exit $?; echo $a; echo $b"

    def check(outcome: Outcome) -> list[str]:
        drawn = outcome.stdout.split()
        off = variables.get("SEEDBED_MODE") == "off"
        return ["unseeded, with status 0"] if outcome.status == 0 and not off and len({*drawn}) != 1 else []

    environment = {"PYTHONHASHSEED": "42", **variables}
    return Try(
        f"hook: {shown_variables(variables)}",
        ["dash", "-c", twice],
        tuple(variables),
        environment,
        writes=("*.jsonl", "tmp/*", "home/*", "missing", "missing/*", "file"),
        statuses=(0, 2, 78),
        check=check,
    )


def entrypoint(random: Random, folder: Path) -> Try:
    """The entrypoint, by Debian's shell; `seedbed` checks for itself, and has to come to the same."""
    variables = variables_of(random) | ({"PYTHONHASHSEED": random.choice(VALUES)} if random.random() < 0.2 else {})
    command = random.choice((["true"], ["sh", "-c", "exit 3"], ["echo", "\\033"], ["no-such-command"]))
    words = ["dash", str(stock.paths.RUNTIME / "entrypoint.sh"), *command]
    return Try(
        f"entrypoint: {shown_variables(variables)}{quoted(command)}",
        words,
        ("PYTHONHASHSEED", *variables),
        variables,
        writes=("tmp/home-0", "tmp/*"),
        statuses=(0, 2, 3, 127),
        check=lambda outcome: (),
    )


# ---- all of them ---------------------------------------------------------------------------------------------------

TARGETS: dict[Callable[[Random, Path], Try], int] = {
    catalog: 22,
    build_record: 8,
    layout: 14,
    rebuild_kit: 6,
    wheel: 5,
    store: 4,
    build_line: 8,
    seedbed_line: 6,
    run_record: 12,
    golden: 6,
    sweep: 6,
    journal: 5,
    hook: 3,
    entrypoint: 5,
    registries.push: 7,
    registries.logins: 3,
}


def prepare(random: Random, folder: Path) -> Try:
    target = random.choices([*TARGETS], [*TARGETS.values()])[0]
    return target(random, folder)


CAMPAIGN = Campaign("inputs", 10_000, 400, partial(attempt, "inputs", prepare))
