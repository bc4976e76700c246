"""Wheels to layers: the tree an installer would write, checked file by file, in bytes that nothing else decides."""

import csv
import io
import os
import random
import re
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import zstandard

from builder import paths
from builder.errors import SeedbedError
from builder.layers import parts as layers
from builder.layers import source
from builder.layers.install import Target, Wheel, installed_files
from builder.layers.parts import Part, wheel_layer, wheel_layers
from builder.oci.store import Layer, Store
from builder.oci.tar import CHUNK
from tests.wheels import Recipe, record_hash, wheel_at

EPOCH = 1_700_000_000
SITE = "opt/venv/lib/python3.11/site-packages"
TARGET = Target("/opt/venv", "3.11")
NOTES = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json"}
"""What installers write about themselves; it differs between them and nothing depends on it."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "wheels"


def layer(store: Store, *wheels: Wheel, target: Target = TARGET, epoch: int = EPOCH) -> Layer:
    return wheel_layer(Part(wheels), target, store=store, what="wheels", epoch=epoch, level=1)


def contents(store: Store, made: Layer) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file in a layer, by path."""
    with store.blob(made.descriptor.digest).open("rb") as blob:
        data = zstandard.ZstdDecompressor().stream_reader(blob).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: (member.mode, archive.extractfile(member).read()) for member in archive if member.isreg()}


RICH = Recipe(
    name="rich_demo",
    files={
        "rich_demo/__init__.py": b"def main(): pass\n",
        "rich_demo/data.bin": random.Random(1).randbytes(3_000_000),
        "rich_demo/zeros.bin": bytes(5_000_000),
        "rich_demo/empty.py": b"",
        "rich_demo/lib.so": b"\x7fELF",
        "rich_demo/naïve.txt": b"not ASCII",
        "rich_demo-1.0.data/purelib/rich_demo/more.py": b"MORE = 1\n",
        "rich_demo-1.0.data/platlib/rich_demo/fast.so": b"\x7fELF",
        "rich_demo-1.0.data/scripts/rich-script": b"#!python\nprint('hi')\n",
        "rich_demo-1.0.data/scripts/rich-binary": b"\x7fELF" + bytes(100),
        "rich_demo-1.0.data/scripts/rich-main": b"#!python\n# an old-style launcher, replaced by the entry point\n",
        "rich_demo-1.0.data/data/share/rich_demo/notes.txt": b"notes",
        "rich_demo-1.0.data/headers/rich.h": b"#pragma once\n",
        "rich_demo-1.0.dist-info/licenses/LICENSE": b"free",
    },
    entry_points="[console_scripts]\nrich-main = rich_demo:main\nrich-sub = rich_demo.more:a.b [extra]\n"
    "[gui_scripts]\nrich-gui = rich_demo:main\n",
    executable={"rich_demo/lib.so", "rich_demo-1.0.data/scripts/rich-binary"},
)


# The tree


def test_a_layer_holds_what_uv_installs(tmp_path, folder, store):
    wheels = [RICH.make(folder), Recipe().make(folder)]
    venv = tmp_path / "venv"
    uv = [sys.executable, "-m", "uv", "--offline", "--no-config", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(venv)], check=True)
    before = tree(venv)
    paths = [str(wheel.path) for wheel in wheels]
    subprocess.run([*uv, "pip", "install", "--python", str(venv / "bin/python"), "--no-deps", *paths], check=True)
    expected = {path: file for path, file in tree(venv).items() if path not in before}

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    made = contents(store, layer(store, *wheels, target=Target(str(venv), python)))
    found = {path.removeprefix(f"{venv}/".lstrip("/")): file for path, file in made.items()}
    assert comparable(found, venv) == comparable(expected, venv)
    assert recorded(found) == recorded(expected)


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes()) for path in files}


def comparable(files: Mapping[str, tuple[int, bytes]], venv: Path) -> dict[str, tuple[int, object]]:
    """The files without installers' notes; of a launcher, what it starts and with what."""
    launchers = {"bin/rich-main", "bin/rich-sub", "bin/rich-gui"}
    kept = {path: file for path, file in files.items() if path.rpartition("/")[2] not in NOTES and path != ".lock"}
    return {path: (mode, started(data) if path in launchers else data) for path, (mode, data) in sorted(kept.items())}


def started(launcher: bytes) -> list[str]:
    return re.findall(r"^#!.*|^from .*|sys\.exit\(.*\)", launcher.decode(), re.MULTILINE)


def recorded(files: Mapping[str, tuple[int, bytes]]) -> set[str]:
    """The paths that the RECORDs name: no installers' notes, and no launcher that uv lists without installing it."""
    texts = (data.decode() for path, (_, data) in files.items() if path.endswith("/RECORD"))
    names = {row[0] for text in texts for row in csv.reader(text.splitlines())}
    return {name for name in names if name.rpartition("/")[2] not in NOTES and ".data/" not in name}


def test_scripts_start_the_image_s_python(store, folder):
    made = contents(store, layer(store, RICH.make(folder)))
    assert made["opt/venv/bin/rich-script"] == (0o755, b"#!/opt/venv/bin/python\nprint('hi')\n")
    assert made["opt/venv/bin/rich-binary"] == (0o755, b"\x7fELF" + bytes(100))
    mode, launcher = made["opt/venv/bin/rich-main"]
    assert mode == 0o755
    assert launcher.startswith(b"#!/opt/venv/bin/python\n")
    assert b"from rich_demo import main" in launcher


def test_record_lists_every_file_with_its_hash_and_size(store, folder):
    made = contents(store, layer(store, RICH.make(folder)))
    info = f"{SITE}/rich_demo-1.0.dist-info"
    rows = list(csv.reader(made[f"{info}/RECORD"][1].decode().splitlines()))
    listed = {os.path.normpath(f"{SITE}/{name}"): (digest, size) for name, digest, size in rows}
    assert listed.keys() == made.keys()
    del listed[f"{info}/RECORD"]
    assert listed == {path: (record_hash(data), str(len(data))) for path, (_, data) in made.items() if path in listed}


@pytest.mark.filterwarnings("error")
def test_bytecode_and_signatures_in_a_wheel_stay_out_without_a_word(store, folder):
    extra = {
        "demo/__pycache__/x.cpython-311.pyc": b"?",
        "demo-1.0.dist-info/RECORD.jws": b"?",
        "demo-1.0.dist-info/RECORD.p7s": b"?",
    }
    plain, extended = Recipe().make(folder / "first").path, Recipe(files=Recipe().files | extra).make(folder)
    assert contents(store, layer(store, wheel_at(plain))) == contents(store, layer(store, extended))


def test_stored_and_deflated_wheels_give_the_same_layer(store, folder):
    stored = replace(RICH, compression=zipfile.ZIP_STORED).make(folder / "first")
    assert layer(store, stored) == layer(store, RICH.make(folder))


# The same bytes


def test_the_layer_of_a_given_wheel_never_changes(store, folder):
    """A golden value: whoever changes it raises FORMAT, and changes the digest of every image."""
    assert (
        layer(store, RICH.make(folder)).diff_id
        == "sha256:6032037522ae48a902cb5e418c15c55b03aba358778f5f7dc56ac8cc567b6760"
    )


def test_the_order_of_wheels_does_not_matter(folder, tmp_path):
    wheels = [RICH.make(folder), Recipe().make(folder), Recipe(name="other", files={"other.py": b""}).make(folder)]
    stores = [Store(tmp_path / name) for name in "ab"]
    assert layer(stores[0], *wheels) == layer(stores[1], *wheels[::-1])


def test_umask_time_zone_and_checkout_do_not_matter(folder, tmp_path, monkeypatch):
    first = layer(Store(tmp_path / "a"), RICH.make(folder))
    before = os.umask(0o077)
    try:
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        assert layer(Store(tmp_path / "b"), RICH.make(tmp_path / "elsewhere")) == first
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()


def test_zlib_and_isal_inflate_alike(folder, tmp_path, monkeypatch):
    first = layer(Store(tmp_path / "a"), RICH.make(folder))
    monkeypatch.setattr(source, "decompressobj", zlib.decompressobj)
    assert layer(Store(tmp_path / "b"), RICH.make(folder)) == first


def test_the_number_of_processes_does_not_matter(folder, tmp_path, monkeypatch):
    parts = {"the big one": Part([RICH.make(folder)]), "the small one": Part([Recipe().make(folder)])}
    made = []
    for count in (1, 2):
        monkeypatch.setattr(layers, "cpus", lambda count=count: count)
        made.append(wheel_layers(parts, TARGET, store=Store(tmp_path / str(count)), epoch=EPOCH, level=1))
    one, two = made
    assert one == two
    assert [made.what for made in two] == ["the big one", "the small one"]


def test_a_layer_does_not_depend_on_the_others(folder, tmp_path):
    shared, other = Part([RICH.make(folder)]), Part([Recipe().make(folder)])
    alone = wheel_layers({"shared": shared}, TARGET, store=Store(tmp_path / "a"), epoch=EPOCH, level=1)
    among = wheel_layers({"other": other, "shared": shared}, TARGET, store=Store(tmp_path / "b"), epoch=EPOCH, level=1)
    assert among[1] == alone[0]


@pytest.mark.parametrize("change", ["content", "mode", "epoch", "prefix"])
def test_what_goes_in_decides_the_layer(store, folder, change):
    changed = {
        "content": Recipe(files={"demo/__init__.py": b"ANSWER = 43\n"}),
        "mode": Recipe(executable={"demo/__init__.py"}),
    }.get(change, Recipe())
    target = Target("/opt/other", "3.11") if change == "prefix" else TARGET
    first = layer(store, Recipe().make(folder / "first"))
    other = layer(store, changed.make(folder), target=target, epoch=EPOCH + (change == "epoch"))
    assert first.diff_id != other.diff_id


# Parts


def test_the_parts_of_a_wheel_hold_each_file_once(store, folder):
    wheel, split = RICH.make(folder), ("rich_demo/*.bin", "*/rich.h")
    parts = [Part([wheel], only=split), Part([wheel], without=split)]
    some, others = (
        contents(store, wheel_layer(part, TARGET, store=store, what="", epoch=EPOCH, level=1)) for part in parts
    )
    assert set(some) == {
        f"{SITE}/rich_demo/data.bin",
        f"{SITE}/rich_demo/zeros.bin",
        "opt/venv/include/site/python3.11/rich-demo/rich.h",
    }
    assert some.keys().isdisjoint(others)
    assert some | others == contents(store, layer(store, wheel))


def test_a_part_that_no_file_belongs_to_is_refused(store, folder):
    part = Part([Recipe().make(folder)], only=("demo/moved/*",))
    with pytest.raises(SeedbedError, match=r"expected files that match demo/moved/\* in demo 1\.0, found none"):
        wheel_layer(part, TARGET, store=store, what="", epoch=EPOCH, level=1)


# The cache


def test_a_layer_that_is_known_takes_no_work(store, folder, monkeypatch):
    wheel = RICH.make(folder)
    parts = {"all": Part([wheel])}
    first = wheel_layers(parts, TARGET, store=store, epoch=EPOCH, level=1)
    wheel.path.unlink()
    monkeypatch.setattr(layers, "write_layer", None)
    monkeypatch.setattr(layers, "installed_files", None)
    assert wheel_layers(parts, TARGET, store=store, epoch=EPOCH, level=1) == first


def test_another_installer_makes_layers_anew(store, folder, monkeypatch):
    wheel = RICH.make(folder)
    layer(store, wheel)
    monkeypatch.setattr(layers, "version", lambda package: "0.0")
    monkeypatch.setattr(layers, "write_layer", lambda *_, **__: pytest.fail("made anew"))
    with pytest.raises(pytest.fail.Exception, match="made anew"):
        layer(store, wheel)


# What is refused


def refused(store: Store, match: str, *wheels: Wheel) -> None:
    with pytest.raises(SeedbedError, match=match) as error:
        layer(store, *wheels)
    assert "\n" not in str(error.value)
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_a_wheel_that_is_not_the_locked_one_is_refused_and_named(store, folder):
    wheel = Recipe().make(folder)
    wheel.path.write_bytes(wheel.path.read_bytes() + b"x")
    refused(store, rf"demo 1\.0: expected sha256 {wheel.sha256}, found [0-9a-f]{{64}} in .*demo-1\.0", wheel)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_file_that_is_not_as_record_says_is_refused_and_named(store, folder, compression, size):
    record = {"demo/a.bin": ("demo/a.bin", record_hash(b"what was signed"), str(size))}
    wheel = Recipe(files={"demo/a.bin": bytes(size)}, record=record, compression=compression).make(folder)
    refused(store, r"demo 1\.0: expected demo/a.bin in .*\.whl to be as RECORD says sha256=.*, found sha256=", wheel)


def test_a_script_that_is_not_as_record_says_is_refused_and_named(store, folder):
    name, data = "demo-1.0.data/scripts/run", b"#!python\n"
    wheel = Recipe(files={name: data}, record={name: (name, record_hash(b"else"), str(len(data)))}).make(folder)
    refused(store, "demo-1.0.data/scripts/run", wheel)


def test_a_file_with_broken_compression_is_refused_and_named(store, folder):
    wheel = Recipe(files={"demo/a.bin": random.Random(1).randbytes(1000) * 3}).make(folder)
    data = bytearray(wheel.path.read_bytes())
    start = data.index(b"demo/a.bin") + len(b"demo/a.bin")
    data[start : start + 40] = b"\xff" * 40
    wheel.path.write_bytes(data)
    refused(store, r"demo 1\.0: expected demo/a\.bin .*found broken data", wheel_at(wheel.path))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (None, "no sha256/sha384/sha512 in RECORD for demo/a.py"),
        (("demo/a.py", "", "1"), "no sha256/sha384/sha512 in RECORD for demo/a.py"),
        (("demo/a.py", record_hash(b"1", "md5"), "1"), "no sha256/sha384/sha512 in RECORD for demo/a.py"),
        (("demo/a.py", record_hash(b"1"), "2"), "1 bytes of demo/a.py, which RECORD gives 2"),
        (("demo/a.py", record_hash(b"1"), ""), "1 bytes of demo/a.py, which RECORD gives None"),
        (("demo/a.py", "nonsense", "1"), "`hash` does not follow the required format"),
    ],
    ids=["not listed", "no hash", "weak hash", "other size", "no size", "no form"],
)
def test_a_file_that_record_does_not_vouch_for_is_refused(store, folder, row, complaint):
    wheel = Recipe(files={"demo/a.py": b"1"}, record={"demo/a.py": row}).make(folder)
    refused(store, rf"{re.escape(complaint)} in .*demo-1\.0-py3-none-any\.whl", wheel)


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_the_stronger_hashes_are_checked_too(store, folder, algorithm):
    good = {"demo/a.py": ("demo/a.py", record_hash(b"1", algorithm), "1")}
    bad = {"demo/a.py": ("demo/a.py", record_hash(b"2", algorithm), "1")}
    refused(store, "as RECORD says", Recipe(files={"demo/a.py": b"1"}, record=bad).make(folder))
    assert layer(store, Recipe(files={"demo/a.py": b"1"}, record=good).make(folder))


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "demo/../../../../../../../etc/passwd",
        "/etc/passwd",
        "demo/./a.py",
        "demo//a.py",
        "demo-1.0.data/data/../../evil",
        "demo-1.0.data/scripts/../../evil",
    ],
)
def test_a_file_that_reaches_outside_is_refused_and_the_wheel_named(store, folder, name):
    refused(store, r"expected a well-formed wheel, found .* in .*demo-1\.0", Recipe(files={name: b"evil"}).make(folder))


def test_a_launcher_that_reaches_outside_is_refused(store, folder):
    recipe = Recipe(entry_points="[console_scripts]\n../../../usr/bin/sh = demo:main\n")
    refused(store, "which may lead out of /opt/venv/bin", recipe.make(folder))


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        (Recipe(wheel_version="2.0"), "only support version 1.x wheels"),
        (Recipe(files={"demo-1.0.data/elsewhere/a": b""}), "not contained in a valid .data subdirectory"),
        (Recipe(files={"other-2.0.dist-info/METADATA": b""}), "2 .dist-info folders"),
        (Recipe(entry_points="[console_scripts]\nrun = not a module\n"), "well-formed wheel"),
        (Recipe(entry_points="nonsense"), "no section headers"),
        (Recipe(files={"demo-1.0.data/purelib/a.py": b"", "a.py": b""}), "/opt/venv/.*/a.py twice"),
    ],
    ids=["version", "scheme", "two wheels", "entry point", "entry points", "twice"],
)
def test_a_malformed_wheel_is_refused_and_named(store, folder, recipe, complaint):
    refused(store, complaint, recipe.make(folder))


def test_what_is_no_zip_is_refused_and_named(store, folder):
    folder.mkdir()
    page = folder / "demo.whl"
    page.write_bytes(b"<html>404</html>")
    refused(
        store,
        r"well-formed wheel, found File is not a zip file in .*demo\.whl",
        wheel_at(page),
    )


def test_wheels_that_disagree_about_a_file_are_refused_and_both_are_named(store, folder):
    one = Recipe(name="one", files={"shared/__init__.py": b"1"}).make(folder)
    two = Recipe(name="two", files={"shared/__init__.py": b"2"}).make(folder)
    complaint = rf"/{SITE}/shared/__init__\.py, found two, in one 1\.0 and two 1\.0"
    refused(store, complaint, one, two)
    refused(store, complaint, two, one)


def test_wheels_that_disagree_about_a_mode_are_refused(store, folder):
    one = Recipe(name="one", files={"run.sh": b"1"}).make(folder)
    two = Recipe(name="two", files={"run.sh": b"1"}, executable={"run.sh"}).make(folder)
    refused(store, "run.sh, found two", one, two)


def test_wheels_that_agree_about_a_file_bring_it_once(store, folder):
    wheels = [Recipe(name=name, files={"shared/__init__.py": b""}).make(folder) for name in ("one", "two")]
    assert contents(store, layer(store, *wheels))[f"{SITE}/shared/__init__.py"] == (0o644, b"")


def test_wheels_of_two_layers_that_disagree_are_refused_even_if_both_layers_are_known(store, folder):
    wheels = [Recipe(name=name, files={"shared.py": name.encode()}).make(folder) for name in ("one", "two")]
    parts = {wheel.name: Part([wheel]) for wheel in wheels}
    for name, part in parts.items():
        wheel_layers({name: part}, TARGET, store=store, epoch=EPOCH, level=1)
    for _ in range(2):
        with pytest.raises(SeedbedError, match=r"shared\.py, found two, in one 1\.0 and two 1\.0"):
            wheel_layers(parts, TARGET, store=store, epoch=EPOCH, level=1)


def test_an_error_in_another_process_arrives_as_one_line(store, folder, monkeypatch):
    good, bad = RICH.make(folder), Recipe().make(folder)
    bad.path.write_bytes(bad.path.read_bytes() + b"x")
    monkeypatch.setattr(layers, "cpus", lambda: 2)
    with pytest.raises(SeedbedError, match=r"demo 1\.0: expected sha256"):
        wheel_layers({"good": Part([good]), "bad": Part([bad])}, TARGET, store=store, epoch=EPOCH, level=1)


# Memory


def test_however_well_a_file_is_compressed_it_is_inflated_in_small_pieces(folder):
    wheel = Recipe(files={"demo/zeros.bin": bytes(64 << 20)}).make(folder)
    [zeros] = [
        file for file in installed_files(wheel, Target("/opt/venv", "3.11")) if file.entry.path.endswith("zeros.bin")
    ]
    sizes = [len(chunk) for chunk in zeros.entry.content()]
    assert sum(sizes) == 64 << 20
    assert max(sizes) <= CHUNK


def test_a_writer_that_is_killed_is_one_line():
    with pytest.raises(SeedbedError, match="a process that wrote a layer was killed: see whether memory is short"):
        list(layers.in_parallel([partial(os._exit, 1), partial(os._exit, 1)], 2))


def test_once_a_layer_has_failed_no_other_is_begun(tmp_path):
    others = [partial(subprocess.run, ["sh", "-c", f"touch {tmp_path}/{number}; sleep 0.3"]) for number in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(layers.in_parallel([partial(divmod, 1, 0), *others], 2))
    assert len([*tmp_path.iterdir()]) < 50


@pytest.mark.parametrize(
    "name",
    [
        "demo-1.0.data",
        "./demo-1.0.data/purelib/a",
        "./a",
        "demo-1.0.data//purelib/a",
        "demo/\x1b[2J",
        "demo/a\nb",
        "a/.",
    ],
)
def test_an_odd_name_is_refused_at_once(store, folder, name):
    """Control: of the first two the installer looked for the folder for ever, and filled the memory with it."""
    refused(store, r"well-formed wheel, found a file with the name '", Recipe(files={name: b""}).make(folder))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_what_a_wheel_calls_a_link_or_a_device_is_a_file(store, folder, kind):
    """As for pip; so nothing leads out of the image's folders."""
    wheel = Recipe(files={"demo/a": b"/etc/passwd"}).make(folder)
    with zipfile.ZipFile(wheel.path, "a") as archive:
        archive.getinfo("demo/a").external_attr = (kind | 0o777) << 16
        archive.writestr("demo/__pycache__/a", b"")  # not installed; it has the zip's directory written anew
    assert contents(store, layer(store, wheel_at(wheel.path)))[f"{SITE}/demo/a"] == (0o755, b"/etc/passwd")


def bomb(folder: Path, name: str, size: int) -> Wheel:
    """A wheel that says of one of its files that it has so many bytes."""
    wheel = Recipe(files={"demo/a": b"x"}, entry_points="[console_scripts]\na = demo:main\n").make(folder)
    data = bytearray(wheel.path.read_bytes())
    entry = data.rindex(name.encode()) - 46  # in the directory at the end
    assert data[entry : entry + 4] == b"PK\1\2"
    data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    wheel.path.write_bytes(data)
    return wheel_at(wheel.path)


@pytest.mark.parametrize("name", ["demo-1.0.dist-info/WHEEL", "demo-1.0.dist-info/entry_points.txt"])
def test_a_document_that_would_fill_the_memory_is_not_read(store, folder, name):
    refused(store, f"well-formed wheel, found 4000000000 bytes of {name} in ", bomb(folder, name, 4_000_000_000))


def test_more_content_than_a_file_can_hold_is_refused(store, folder):
    complaint = "found 400000.... bytes of content, more than a file of its size can hold, in "
    refused(store, complaint, bomb(folder, "demo/a", 4_000_000_000))


def test_no_damage_to_a_wheel_is_more_than_a_line(folder):
    """Whatever is changed: it is refused in one line, or installed into its folders."""
    entry_points = "[console_scripts]\nrun = demo:main\n"
    wheel = Recipe(files={"demo/a.py": b"1" * 99, "demo-1.0.data/scripts/s": b"#!python\n"}, entry_points=entry_points)
    path = wheel.make(folder).path
    whole, chance = path.read_bytes(), random.Random(0)
    outcomes = Counter()
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 8, 47, 255, chance.randrange(256)])
        path.write_bytes(data[: chance.randrange(len(data))] if chance.random() < 0.1 else data)
        try:
            for file in installed_files(wheel_at(path), Target("/opt/venv", "3.11")):
                assert file.entry.path.startswith("opt/venv/") and ".." not in file.entry.path
                list(file.entry.content())
            outcomes["installed"] += 1
        except SeedbedError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert outcomes["refused"] > 100 and outcomes["installed"] > 20


def test_a_member_that_lies_before_the_file_is_refused(store, folder):
    """Control: reading it was an error of the operating system, said of the cache."""
    wheel = Recipe().make(folder)
    data = bytearray(wheel.path.read_bytes())
    for entry in (found.start() for found in re.finditer(b"PK\x01\x02", data)):  # all but the first are where they were
        shift(data, entry + 42, 50 if data[entry + 42 : entry + 46] != bytes(4) else 0)
    shift(data, data.rindex(b"PK\5\6") + 16, 50)
    wheel.path.write_bytes(data)
    refused(store, "well-formed wheel, found no place in the file for demo/__init__.py", wheel_at(wheel.path))


def shift(data: bytearray, at: int, by: int) -> None:
    data[at : at + 4] = (int.from_bytes(data[at : at + 4], "little") + by).to_bytes(4, "little")


WORKERS = """
import os, signal, sys, time
from functools import partial
sys.path.insert(0, sys.argv[1])
from builder.layers.parts import in_parallel
if __name__ == "__main__":
    for _ in in_parallel([partial(time.sleep, 0), partial(time.sleep, 0), partial(time.sleep, 600)], 2):
        os.kill(os.getpid(), signal.SIGKILL)  # while one worker is idle, and one is not
"""


def test_workers_end_without_a_word_with_a_process_that_is_killed(tmp_path):
    (tmp_path / "build.py").write_text(WORKERS)
    with (tmp_path / "said").open("w") as said:
        command = [sys.executable, tmp_path / "build.py", str(paths.ROOT)]
        build = subprocess.Popen(command, start_new_session=True, stderr=said)
    assert build.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while running(build.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = running(build.pid)
    if left:
        os.killpg(build.pid, signal.SIGKILL)
    assert not left
    assert (tmp_path / "said").read_text() == ""


def test_workers_do_not_hear_a_terminals_ctrl_c_which_the_build_does():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    blocked = list(layers.in_parallel([partial(signal.pthread_sigmask, signal.SIG_BLOCK, [])] * 2, 2))
    assert len(blocked) == 2
    assert all({signal.SIGINT, signal.SIGHUP} <= mask and signal.SIGTERM not in mask for mask in blocked)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def running(group: int) -> list[str]:
    """The processes of a process group, but for those that only nobody has asked for their status."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [words[-1] for words in found if words[0] == str(group) and not words[1].startswith("Z")]
