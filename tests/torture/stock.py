"""Good files to be spoiled: made once, before the first try, and copied for each."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from seedbed.observe.lines import Lines
from seedbed.settings import DEFAULT_SEED

from builder import paths
from builder.debian.archive import Package
from builder.image import assemble, build, record
from builder.image.recipe import resolve_all
from builder.layers import parts
from builder.layers.install import Target
from builder.layers.parts import Part
from builder.oci import tar
from builder.oci.layout import compose, write_layout
from builder.oci.store import Store
from builder.outcomes import Result
from builder.publish import kit
from tests import kits, pythons

EPOCH, LEVEL = 1_735_689_600, 3
TINY = paths.ROOT / "tests" / "images"
INPUTS = ("*.yaml", "*.lock", "*.in", "Dockerfile", "golden.json")
DIGEST = "sha256:" + "1" * 64

FACTS = {
    "command": ["true"],
    "folder": "/workspace/project",
    "started": "2025-01-01T00:00:00+00:00",
    "seed": DEFAULT_SEED,
    "mode": "strict",
    "image": {"name": "pytorch", "tag": "2.7.1-py311", "lock": DIGEST},
    "packages": {"torch": "2.7.1"},
    "cpu": {"model": "A", "vendor": "AuthenticAMD", "instructions": ["avx2"]},
    "gpus": [],
    "driver": "",
    "threads": 4,
    "ranks": 1,
    "environment": {"OMP_NUM_THREADS": "4", "NCCL_ALGO": "Tree", "TOKEN": "hidden:1234:abc"},
    "commit": "c0ffee",
    "sources": {"train.py": "0" * 64},
    "data": {"data.csv": "0" * 64},
}
STEPS = [
    {
        "step": 1,
        "initial": "i",
        "data": "d1",
        "loss": ["0x1p+1"],
        "gradients": "g1",
        "norm": "0x1p+0",
        "parameters": "p",
    },
    {"epoch": 1, "metrics": {"loss": "0x1p+1", "accuracy": "0x1p-1"}},
    {"step": 2, "data": "d2", "loss": ["0x1p+0", "0x1p-1"], "gradients": "g2", "norm": "0x1p+1", "parameters": "q"},
    {"step": 1, "thread": "Thread-2", "loss": ["0x1p+1"], "parameters": "r"},
]
PRINTED = [{"line": 1, "text": "loss 0.5, accuracy 0.75"}, {"outputs": {"model.pt": "0" * 64}}, {"end": {"status": 0}}]


@cache
def folder() -> Path:
    """Where the stock is; it goes with the process that made it."""
    made = Path(tempfile.mkdtemp(prefix="torture-stock-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == owner else None)
    return made


@cache
def catalogs() -> tuple[Path, ...]:
    """The tests' own catalog, and the real one, whose images share layers: only what is read of them."""
    found = []
    for root in (TINY, paths.IMAGES):
        target = folder() / "catalogs" / root.parent.name
        for path in (path for pattern in INPUTS for path in root.rglob(pattern)):
            (target / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / path.relative_to(root))
        found.append(target)
    return tuple(found)


@cache
def cache_with_record() -> Path:
    """A cache in which the tiny image is built: its record, and a base layer that dpkg's status is in."""
    root = folder() / "cache"
    [recipe] = resolve_all(TINY, ["tiny"])
    status = b"Package: bash\nStatus: install ok installed\nVersion: 5.2\nInstalled-Size: 7164\n\n"
    with cached_in(root):
        layer = tar.write_layer(
            assemble.store(), [tar.file("var/lib/dpkg/status", status)], epoch=EPOCH, level=LEVEL, what="Debian"
        )
        record.Record(
            image="tiny",
            inputs=build.inputs_of(recipe),
            lock="2" * 64,
            digest=DIGEST,
            config=DIGEST,
            layers=(
                record.LayerRecord(digest=layer.descriptor.digest, size=layer.descriptor.size, what="Debian"),
                record.LayerRecord(digest=DIGEST, size=9, what="numpy: numpy 2.4.6", raw_size=99),
            ),
            unpacked=1000,
            seconds=1.5,
            smoke=(Result(check="trains", outcome="passed", seconds=1.5),),
            tags=("seedbed/tiny:2.4.6-py311",),
        ).save()
    return root


def layer(part: Part, store: Store) -> None:
    parts.wheel_layer(part, Target("/opt/venv", "3.11"), store=store, what="demo", epoch=EPOCH, level=LEVEL)


@cache
def layouts() -> tuple[Path, Path]:
    """Two images that differ in one file."""
    return _layout("one", b"one\n"), _layout("two", b"two\n")


def _layout(name: str, content: bytes) -> Path:
    store, layout = Store(folder() / f"store-{name}"), folder() / "layouts" / name
    entries = [tar.file("etc/hostname", content), tar.symlink("etc/link", "hostname"), tar.directory("opt")]
    layers = [
        tar.write_layer(store, entries, epoch=EPOCH, level=LEVEL, what="base"),
        tar.write_layer(store, [tar.file("opt/same", b"same")], epoch=EPOCH, level=LEVEL, what="same"),
    ]
    write_layout(layout, store, compose(layers, {"Env": ["PATH=/bin"], "Labels": {"a": "b"}}, epoch=EPOCH))
    return layout


@cache
def rebuild_kit() -> tuple[Path, tuple[Package, ...]]:
    """The layout of a kit, and the two packages in it."""
    [recipe] = resolve_all(TINY, ["tiny"])
    with cached_in(folder() / "packages"):
        packages = tuple(kits.package(name, name.encode() * 100) for name in ("mmdebstrap", "tini"))
        kit.write(kits.recipe_of(recipe, *packages), folder() / "kit")
    return folder() / "kit", packages


def archive_of(layout: Path, target: Path) -> None:
    def undated(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime = EPOCH
        return member

    with tarfile.open(target, "w") as archive:
        archive.add(layout, ".", filter=undated)


@cache
def run_record() -> Path:
    """What `seedbed run --record` leaves of a training in two processes."""
    target = folder() / "record"
    target.mkdir()
    for name, facts, lines in (
        ("output.jsonl", {}, PRINTED),
        ("rank0.jsonl", {"rank": 0}, [*STEPS, {"end": {"steps": 2}}]),
        ("rank1.jsonl", {"rank": 1}, STEPS),
    ):
        with Lines(target / name) as file:
            for line in ({"run": FACTS | facts}, *lines):
                file.write(line)
    return target


@cache
def golden() -> Path:
    from seedbed import golden
    from seedbed.recording import record as records

    target = folder() / "golden.json"
    golden.write(target, records.read(run_record()))
    return target


@cache
def sweep() -> Path:
    """A folder in which two seeds of `echo loss 0.5` have been run."""
    target = folder() / "sweeping"
    target.mkdir()
    command = [sys.executable, "-m", "seedbed", "sweep", "--seeds", "2", "--metric", "loss", "--", "echo", "loss 0.5"]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(paths.RUNTIME)}
    subprocess.run(command, cwd=target, env=environment, check=True, capture_output=True)
    for file in (path for path in target.rglob("*.json*") if path.is_file()):  # the same in every stock
        text = re.sub(r'"name": "sweep-\w+"', '"name": "sweep-000000"', file.read_text())
        file.write_text(re.sub(r'"started": "[^"]+"', f'"started": "{FACTS["started"]}"', text))
    return target / "sweep"


@cache
def journals() -> tuple[Path, Path]:
    """Two traced runs that part in one operation."""
    found = []
    for name, gives in (("run-1", "s"), ("run-2", "S")):
        run = folder() / "journals" / name
        run.mkdir(parents=True)
        (run / "plan.json").write_text("{}")
        (run / "output.txt").write_text("loss 0.5\n")
        (run / "errors.txt").touch()
        fixed = {"arguments": "()", "module": "", "places": ["train.py:3 in main"]}
        events = [
            {"start": ["python", "train.py"], "lineage": "", "hash_seed": "42", "environment": {"LANG": "C"}},
            {"op": "mul", "outputs": ["a"], "inputs": [], "from": [], **fixed},
            {"op": "sum", "outputs": [gives], "inputs": ["a"], "from": [[0]], **fixed},
            {"seen": "update", "name": "Adam", "tensors": [gives], "places": ["train.py:9 in main"], "from": [[1]]},
            {"step": 1},
            {"sources": ["train.py"], "gpu": False},
        ]
        (run / "0-1.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
        found.append(run)
    return found[0], found[1]


@cache
def python() -> Path:
    """A Python with the runtime in it, as in an image."""
    home = folder() / "python"
    packages = pythons.with_runtime(home)
    subprocess.run([home / "bin" / "python", "-m", "compileall", "-q", packages], check=True)
    return home / "bin" / "python"


class cached_in:
    """SEEDBED_CACHE for a while; the cache itself is the folder `seedbed` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __enter__(self) -> None:
        self.before = os.environ.get("SEEDBED_CACHE")
        os.environ["SEEDBED_CACHE"] = str(self.root)

    def __exit__(self, *error: object) -> None:
        if self.before is None:
            del os.environ["SEEDBED_CACHE"]
        else:
            os.environ["SEEDBED_CACHE"] = self.before


def make_all() -> None:
    """Before the first try, so that every process that makes tries finds it."""
    for make in (catalogs, cache_with_record, layouts, rebuild_kit, run_record, golden, sweep, journals, python):
        make()
