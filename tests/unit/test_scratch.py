"""Scratch folders: gone at the end, whatever the end was, and never taken from those that use them."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths, scratch


def left(cache: Path) -> list[str]:
    return [path.name for path in (cache / scratch.NAME).iterdir()]


def test_a_folder_is_gone_at_the_end_of_the_block_even_by_an_error(tmp_path):
    with pytest.raises(RuntimeError), scratch.folder(tmp_path) as folder:
        (folder / "half of it").touch()
        raise RuntimeError
    assert left(tmp_path) == []


def test_a_folder_in_use_is_nobody_elses(tmp_path):
    with scratch.folder(tmp_path) as first, scratch.folder(tmp_path) as second:
        (first / "file").touch()
        assert first != second
        with scratch.folder(tmp_path):
            assert (first / "file").exists()


def test_what_a_killed_process_left_goes_with_the_next(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=paths.ROOT, check=False)
    assert killed.returncode == -9
    [found] = left(tmp_path)
    with scratch.folder(tmp_path) as folder:
        assert left(tmp_path) == [folder.name] != [found]


KILLED = """
import os, signal, sys
from pathlib import Path
from builder import scratch
with scratch.folder(Path(sys.argv[1])) as folder:
    (folder / "half of it").write_bytes(bytes(1 << 20))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("place", ["file", "link", "empty folder"])
def test_what_is_no_folder_of_a_killed_process_stays_and_is_no_obstacle(tmp_path, place):
    home = tmp_path / scratch.NAME
    home.mkdir()
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "folder").mkdir(parents=True)
    match place:
        case "file":
            (home / "stray").touch()
        case "link":
            (home / "stray").symlink_to(elsewhere)
        case "empty folder":
            (home / "stray").mkdir()
    with scratch.folder(tmp_path) as folder:
        stays = [] if place == "empty folder" else ["stray"]
        assert sorted(left(tmp_path)) == sorted([*stays, folder.name])
    assert (elsewhere / "folder").exists()


END_BY_A_KILL = """
import os, signal, subprocess, sys, tempfile
from pathlib import Path
from builder import network, paths
from builder.layers import bytecode
from builder.catalog import models as catalog
from builder.debian import archive as debian
from builder.engine import client as engine
from builder.image import buildx
from builder.image.recipe import resolve
from builder.lock import index
from builder.layers import wheels
from builder.lock.index import Pin
from builder.oci.store import Descriptor, Layer, Store

def killed(*arguments, **options):
    environment = options.get("env") or os.environ
    Path(environment.get("TMPDIR", tempfile.gettempdir()), "of the program").touch()
    os.kill(os.getpid(), signal.SIGKILL)

def interpreter():
    base = Layer(Descriptor("", "sha256:" + 64 * "0", 0), "", 0, "")
    with bytecode.interpreter_of(base, Store(paths.cache()), "3.11"):
        killed(env={"TMPDIR": str(next(paths.cache().rglob("tmp*")))})

def wheel():
    wheels.download(Pin("sprout", "1.0", "0" * 64), "3.11")

def resolution():
    index.resolve(image.requirements_path, image.python, [], "2026-11-20T00:00:00Z")

def packages():
    debian.Archive.__init__ = lambda self, *arguments, **options: setattr(self, "directory", paths.cache())
    debian.Archive._uri = lambda self, package: ""
    debian.Archive._run = killed
    debian.Archive("").fetch([debian.Package("tool", "1", "all", "0" * 64, 1, "pool")], paths.cache() / "packages")

def recipe():
    network.pip_setting = lambda name: None
    engine.Engine.keeps_manifests = lambda self: True
    engine.Engine.build = lambda self, arguments, *, folder, epoch: killed(env={"TMPDIR": str(folder)})
    buildx.run(resolve(loaded, image), engine.Engine(None, {}, False), None)

loaded = catalog.load(paths.ROOT / "tests" / "images")
image = loaded.image("tiny")
subprocess.run = killed
globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize("what", ["interpreter", "wheel", "resolution", "packages", "recipe"])
def test_whatever_is_killed_leaves_nothing_but_scratch(what, tmp_path, monkeypatch):
    for name in ("cache", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    killed = subprocess.run(
        [sys.executable, "-c", END_BY_A_KILL, what], cwd=paths.ROOT, capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    places = [home.parent for home in tmp_path.rglob(scratch.NAME)]
    assert len(places) == 1 and len(left(places[0])) == 1
    with scratch.folder(places[0]):
        pass
    others = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert others == (["of the program"] if what in ("resolution", "packages") else []), "uv and apt use TMPDIR"
    assert left(places[0]) == []
