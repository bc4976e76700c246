"""A changelog between two images: what it reads in layers, what it says, and that it says nothing of equal images."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.errors import SeedbedError
from builder.reproduce import changes, diff, inventory, pages
from builder.reproduce.changes import Change, Changelog
from builder.reproduce.inventory import File
from tests.layouts import Layouts, file

PACKAGE = "Package: {}\nStatus: {}\nArchitecture: {}\nVersion: {}\nDescription: what it is\n and more\n"
SITE = "opt/venv/lib/python3.11/site-packages"
DEBIAN = {"bash": "5.2.15-2+b7", "nano": "7.2-1", "zlib1g": "1:1.2.13"}
WHEELS = {"numpy": "2.4.5", "packaging": "25.0"}
CONFIG = {
    "User": "1000:1000",
    "Cmd": ["bash"],
    "Env": ["PATH=/opt/venv/bin:/bin", "OMP_DYNAMIC=FALSE", "OLD=1"],
    "Labels": {"io.seedbed.lock": f"sha256:{'a' * 64}"},
}


def status(versions: Mapping[str, str], state: str = "install ok installed", architecture: str = "amd64") -> str:
    return "\n".join(PACKAGE.format(name, state, architecture, version) for name, version in versions.items())


def debian(versions: Mapping[str, str]) -> list[Any]:
    return [file("var/lib/dpkg/status", status(versions).encode()), file("bin/bash", b"B" * 5000, mode=0o755)]


def wheels(versions: Mapping[str, str]) -> list[Any]:
    return [file(f"{SITE}/{name}-{version}.dist-info/METADATA", b"x" * 100) for name, version in versions.items()]


@pytest.fixture
def before(image: Layouts) -> Path:
    return image(debian(DEBIAN), wheels(WHEELS), [file("opt/seedbed/entrypoint.sh", b"exec")], config=CONFIG)


@pytest.fixture
def after(image: Layouts) -> Path:
    """One Debian package changed, added and removed each, a wheel bumped, ENV, a label, the user, files."""
    packages = {"bash": "5.2.15-2+b8", "curl": "7.88.1", "zlib1g": "1:1.2.13"}
    config = CONFIG | {
        "User": "0:0",
        "Env": ["PATH=/opt/venv/bin:/bin", "OMP_DYNAMIC=TRUE", "NEW=|`x`"],
        "Labels": {"io.seedbed.lock": f"sha256:{'b' * 64}"},
    }
    top = [file("opt/seedbed/entrypoint.sh", b"exit"), file("opt/data", b"d" * 2_000_000)]
    return image(debian(packages), wheels(WHEELS | {"numpy": "2.4.6"}), top, config=config)


def log_of(one: Path, other: Path) -> Changelog:
    images = [diff.open_image(str(path), no_engine) for path in (one, other)]
    return changes.changelog("one", inventory.of_image(images[0], {}), "other", inventory.of_image(images[1], {}))


def no_engine() -> Any:
    raise AssertionError("an engine was asked")


TEXT = """\
one → other
Debian packages: 1 changed, 1 added, 1 removed
  changed  bash  5.2.15-2+b7 → 5.2.15-2+b8
  added    curl  7.88.1
  removed  nano  7.2-1
Wheels: 1 changed
  changed  numpy  2.4.5 → 2.4.6
ENV: 1 changed, 1 added, 1 removed
  added    NEW          |`x`
  removed  OLD          1
  changed  OMP_DYNAMIC  FALSE → TRUE
Labels: 1 changed
  changed  io.seedbed.lock  sha256:aaaaaaaaaaaa → sha256:bbbbbbbbbbbb
Settings: 1 changed
  changed  user  1000:1000 → 0:0
Files: 2 changed, 2 added, 1 removed; +2 MB unpacked
  added    /opt/data                                                              2 MB
  added    /opt/venv/lib/python3.11/site-packages/numpy-2.4.6.dist-info/METADATA  100 B
  removed  /opt/venv/lib/python3.11/site-packages/numpy-2.4.5.dist-info/METADATA  100 B
  changed  /var/lib/dpkg/status                                                   349 B → 350 B (+1 B)
  changed  /opt/seedbed/entrypoint.sh                                             4 B, other content, mode or owner
Layers: 0 shared (0 B); 3 (N B) → 3 (N B), compressed
"""

MARKDOWN = """\
### one → other

**Debian packages**: 1 changed, 1 added, 1 removed

| | | |
| --- | --- | --- |
| changed | `bash` | `5.2.15-2+b7 → 5.2.15-2+b8` |
| added | `curl` | `7.88.1` |
| removed | `nano` | `7.2-1` |

**Wheels**: 1 changed

| | | |
| --- | --- | --- |
| changed | `numpy` | `2.4.5 → 2.4.6` |

**ENV**: 1 changed, 1 added, 1 removed

| | | |
| --- | --- | --- |
| added | `NEW` | `\\|'x'` |
"""


def test_the_whole_change_as_text(before, after):
    text = "\n".join(pages.as_text(log_of(before, after)))
    assert re.sub(r"3 \(\d+ B\)", "3 (N B)", text) == TEXT.strip()


def test_the_whole_change_as_markdown_in_which_values_stay_values(before, after):
    assert "\n".join(pages.as_markdown(log_of(before, after))).startswith(MARKDOWN.strip())


def test_the_whole_change_as_json(before, after):
    document = json.loads(json.dumps(log_of(before, after).to_json()))
    assert document["debian"] == [
        {"name": "bash", "before": "5.2.15-2+b7", "after": "5.2.15-2+b8"},
        {"name": "curl", "before": None, "after": "7.88.1"},
        {"name": "nano", "before": "7.2-1", "after": None},
    ]
    assert document["wheels"] == [{"name": "numpy", "before": "2.4.5", "after": "2.4.6"}]
    assert document["files"][0] == {"path": "/opt/data", "before": None, "after": 2_000_000}
    assert (document["files_changed"], document["empty"]) == (5, False)


def test_control_of_an_image_and_itself_nothing_is_said(before):
    log = log_of(before, before)
    assert log.empty
    assert list(pages.as_text(log)) == ["one → other: nothing changed (3 Debian packages, 2 wheels)"]
    assert log.to_json()["files"] == []
    assert list(pages.as_markdown(log))[2] == "Nothing changed (3 Debian packages, 2 wheels)."


def test_a_shared_layer_is_read_once(before, image, monkeypatch):
    other = image(debian(DEBIAN), wheels(WHEELS), [file("opt/seedbed/entrypoint.sh", b"exit")], config=CONFIG)
    reads = []
    read = inventory.read_layer
    monkeypatch.setattr(inventory, "read_layer", lambda *given: reads.append(given) or read(*given))
    log = diff.changelog(*(diff.open_image(str(path), no_engine) for path in (before, other)))
    assert len(reads) == 4
    assert [change.path for change in log.files] == ["/opt/seedbed/entrypoint.sh"]
    assert (log.layers.shared, log.layers.before, log.layers.after) == (2, 1, 1)


def test_one_layer_twice_is_one_layer(image):
    assert inventory_of(image(LOWER, [file("opt/a/.wh.x")], LOWER)).files.keys() == {"/opt/a/x", "/opt/a/y", "/opt/b"}


def test_only_installed_packages_count_and_those_of_another_architecture_are_told_apart(image):
    config_files = status({"gone": "1"}, state="deinstall ok config-files")
    text = "\n".join([status({"libc6": "2.36"}), status({"libc6": "2.35"}, architecture="i386"), config_files])
    found = inventory_of(image([file("var/lib/dpkg/status", text.encode())]))
    assert found.debian == {"libc6": "2.36", "libc6:i386": "2.35"}


def test_a_vendored_distribution_is_no_wheel(image):
    found = inventory_of(image([file(f"{SITE}/setuptools/_vendor/wheel-0.45.dist-info/METADATA"), *wheels(WHEELS)]))
    assert found.wheels == WHEELS


# ---- layers on top of each other -----------------------------------------------------------------------------------


def inventory_of(path: Path) -> inventory.Inventory:
    return inventory.of_image(diff.open_image(str(path), no_engine), {})


def folder(path: str) -> Any:
    return file(path, type=b"5")


LOWER = [folder("opt"), folder("opt/a"), file("opt/a/x", b"x"), file("opt/a/y", b"y"), file("opt/b", b"b")]


@pytest.mark.parametrize(
    ("upper", "left"),
    [
        ([file("opt/a/.wh.x")], {"/opt/a/y", "/opt/b"}),
        ([file("opt/.wh.a")], {"/opt/b"}),
        ([file("opt/a/.wh..wh..opq"), file("opt/a/z")], {"/opt/a/z", "/opt/b"}),
        ([file("opt/a", b"now a file")], {"/opt/a", "/opt/b"}),
        ([folder("opt/b"), file("opt/b/c")], {"/opt/a/x", "/opt/a/y", "/opt/b/c"}),
        ([file(".wh..wh..opq")], set()),
        ([file(".wh.op")], {"/opt/a/x", "/opt/a/y", "/opt/b"}),
    ],
)
def test_what_a_container_sees_of_layers_on_top_of_each_other(upper, left, image):
    assert inventory_of(image(LOWER, upper)).files.keys() == left


def test_the_list_of_packages_is_that_of_the_topmost_layer_that_has_one(image):
    newer = debian(DEBIAN | {"bash": "6"})
    assert inventory_of(image(debian(DEBIAN), newer, LOWER)).debian["bash"] == "6"
    assert inventory_of(image(debian(DEBIAN), [file("var/lib/dpkg/.wh.status")])).debian == {}


# ---- files ---------------------------------------------------------------------------------------------------------


def test_files_come_by_what_they_grew_or_shrank_and_no_more_than_twenty_are_shown():
    before = {"/shrunk": File(9000, "a")} | {f"/{number:02}": File(10, "a") for number in range(30)}
    after = {"/grown": File(5000, "b")} | {f"/{number:02}": File(10 + number, "b") for number in range(30)}
    found = changes.file_changes(before, after)
    assert [change.path for change in found[:4]] == ["/shrunk", "/grown", "/29", "/28"]
    _, said, rows = pages.files_section(found)
    assert said == "30 changed, 1 added, 1 removed; -4 kB unpacked, the 20 largest are"
    assert len(rows) == 20


def test_only_the_mode_of_a_file_changes_and_it_is_a_change(image):
    one, other = (image([file("bin/su", b"su", mode=mode)]) for mode in (0o755, 0o4755))
    [change] = log_of(one, other).files
    assert (change.path, change.growth, change.kind) == ("/bin/su", 0, "changed")


def test_only_the_date_of_a_file_changes_and_it_is_none(image):
    one, other = (image([file("bin/su", b"su", mtime=time)]) for time in (1, 2))
    assert log_of(one, other).files == ()


def test_an_empty_file_is_added(image):
    [change] = log_of(image([file("a")]), image([file("a"), file("b")])).files
    assert (change.kind, change.before, change.after) == ("added", None, 0)


# ---- what is not as it should be -----------------------------------------------------------------------------------


def test_a_layer_that_is_no_tar_is_named(image):
    with pytest.raises(SeedbedError, match=r"layer 1 \(step 0\) cannot be read"):
        inventory_of(image(b"no tar at all, not even nearly" * 100))


def test_an_image_that_claims_too_many_files_is_refused(image, monkeypatch):
    monkeypatch.setattr(inventory, "MOST_FILES", 3)
    with pytest.raises(SeedbedError, match="more than 3 files"):
        inventory_of(image([file(str(number)) for number in range(5)]))


@pytest.mark.parametrize("env", [None, "A=1", [1, {"a": 2}], {"A": "1"}])
def test_a_config_may_say_anything(env, image):
    assert inventory_of(image([file("a")], config={"Env": env, "ExposedPorts": {"80/tcp": {}}})).settings == {
        "ExposedPorts": '{"80/tcp": {}}'
    }


def test_a_long_value_is_cut_and_a_hash_shortened():
    assert pages.change_of(Change("x", "v" * 200, "f" * 64)) == f"{'v' * 99}… → ffffffffffff"
