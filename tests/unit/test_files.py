"""Files: whole or not at all, whoever else writes them, and one line that names the disk if it is full."""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from builder import files, paths, scratch
from builder.errors import SeedbedError
from builder.lock import packages, requirements

WRITERS = """
import sys
from pathlib import Path
from builder import scratch
from builder.lock import packages, requirements
from builder.debian import archive
from builder.image import dockerfile, record, rendered
from builder.image.recipe import resolve_all
from builder.image.record import LayerRecord, Record

where, catalog_folder, other = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
[recipe] = resolve_all(catalog_folder, ["tiny"])
text = dockerfile.render(recipe)
record.folder = lambda: where / "records"
digest = f"sha256:{0:064}"
layers = [LayerRecord(digest=digest, size=1, what="a layer")]
(where / f"{other} has started").touch()
for number in range(150):
    Record(
        image="tiny", inputs=str(number % 3), lock="", digest=digest, config=digest, layers=layers, unpacked=number,
        seconds=1.0
    ).save()
    assert record.find(str(number % 3)), "a record that is there is found"
    record.of_image("tiny")
    requirements.write(recipe.image, recipe.wheels)
    packages.write(recipe.base, recipe.packages)
    recipe.image.dockerfile_path.unlink(missing_ok=True)
    rendered.write(recipe.image.dockerfile_path, text)
    archive.write_if_other(where / "apt.conf", str(number))
    with scratch.folder(where) as folder:
        (folder / "file").touch()
"""


def side_by_side(program: str, *arguments: str) -> list[str]:
    """What two processes that run the same at once complain of."""
    command = [sys.executable, "-c", program, *arguments]
    pair = [subprocess.Popen([*command, name], cwd=paths.ROOT, stderr=subprocess.PIPE, text=True) for name in "ab"]
    return [process.communicate()[1] for process in pair]


def test_two_processes_write_the_same_files_at_once(folder, tmp_path):
    before = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / scratch.NAME).mkdir()
    (tmp_path / scratch.NAME / "a file that is nobody's").touch()
    assert side_by_side(WRITERS, str(tmp_path), str(folder)) == ["", ""]
    assert {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == ["0.json", "1.json", "2.json"]
    assert [path.name for path in (tmp_path / scratch.NAME).iterdir()] == ["a file that is nobody's"]


CLAIMS = """
import os, sys
from builder.cli import cleaning
from builder.errors import SeedbedError

for number in range(300):
    os.environ["SEEDBED_CACHE"] = f"{sys.argv[1]}/{number}"
    with cleaning.in_use():
        pass
"""


def test_two_processes_take_a_new_cache_at_once(tmp_path):
    assert side_by_side(CLAIMS, str(tmp_path)) == ["", ""]


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "file"
    files.write(file, "before")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", killed)
        files.write(file, "after")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and file.read_text() == "before"


@pytest.mark.parametrize("content", ["half", ""])
def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path, content):
    (tmp_path / f"{files.WRITING}left").write_text(content)
    files.write(tmp_path / "file", "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_another_writer_swept_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    lock, locked = fcntl.flock, []

    def late(file: IO[bytes], how: int) -> None:
        if how == fcntl.LOCK_EX and not locked:
            files.sweep(tmp_path)
        locked.append(file)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    files.write(tmp_path / "file", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "whole"


def test_a_file_that_is_being_written_stays(tmp_path):
    with files.new(tmp_path) as file:
        file.write(b"half")
        file.flush()
        files.write(tmp_path / "another", "")
        assert Path(file.name).exists()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "records").write_text("a file where the folder belongs")
    with pytest.raises(SeedbedError, match=rf"^{tmp_path}/records: File exists; check its permissions$"):
        files.write(tmp_path / "records" / "x.json", "")
    monkeypatch.setattr(paths, "cache", lambda: tmp_path)
    with pytest.raises(SeedbedError, match=r"File exists; name another folder in SEEDBED_CACHE$"):
        files.write(tmp_path / "records" / "x.json", "")


def broken(file: Path, how: str) -> None:
    file.unlink()
    match how:
        case "missing":
            """It is."""
        case "a folder":
            file.mkdir()
        case "a pipe":
            os.mkfifo(file)
        case "not in UTF-8":
            file.write_bytes(b"# format: 1\n# \xff\n")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", "cannot be read: No such file"),
        ("a folder", "cannot be read: not a regular file"),
        ("a pipe", "cannot be read: not a regular file"),
        ("not in UTF-8", "expected UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["base/packages.lock", "tiny/requirements.lock", "tiny/requirements.in"])
def test_a_lock_that_cannot_be_read_is_one_line(folder, load, name, how, told):
    loaded = load()
    image = loaded.image("tiny")
    broken(folder / name, how)
    with pytest.raises(
        SeedbedError, match=rf"{name}(:2)?: {told}.*; (run ./build.py lock|write the packages)"
    ) as caught:
        packages.check(loaded.bases[image.base])
        requirements.check(loaded, image)
    assert "\n" not in str(caught.value)


# A cache that is not what it was


def test_a_file_that_is_not_what_its_name_says_is_named_and_goes(tmp_path):
    file = tmp_path / "x.whl"
    file.write_text("flipped")
    digest = hashlib.sha256(b"as it was").hexdigest()
    with pytest.raises(
        SeedbedError, match=rf"^x 1.0: expected sha256 {digest}, found .* in {file}, which is now deleted"
    ):
        files.check_sha256(file, digest, "x 1.0")
    assert not file.exists()


def test_a_file_that_is_what_its_name_says_stays(tmp_path):
    (tmp_path / "x").write_text("as it was")
    files.check_sha256(tmp_path / "x", hashlib.sha256(b"as it was").hexdigest(), "x")
    assert (tmp_path / "x").exists()


def test_the_file_that_made_a_step_fail_is_named_instead_of_what_followed(tmp_path):
    (tmp_path / "x").write_text("flipped")
    suspects = [partial(files.check_sha256, tmp_path / name, "0" * 64, name) for name in ("gone", "x")]
    with pytest.raises(SeedbedError, match=r"^x: expected"), files.suspecting(*suspects):
        raise SeedbedError("the engine says so")
    with pytest.raises(SeedbedError, match=r"^the engine says so$"), files.suspecting(*suspects):
        raise SeedbedError("the engine says so")


# A disk that is full

MOUNTED = 'mount -t tmpfs -o size=200k tmpfs "$1" && exec "$2" -c "$3"'
ON_A_SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNTED, "-"]
NO_MOUNTS = subprocess.run(
    ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
).returncode

FILLED = """
import os
from pathlib import Path
from builder import paths, scratch
from builder.errors import SeedbedError
from builder.oci.store import Store
from builder.oci.tar import file, write_layer

def record():
    from builder.image.record import LayerRecord, Record
    digest = f"sha256:{0:064}"
    layers = [LayerRecord(digest=digest, size=1, what="x" * 1_000_000)]
    Record(image="x", inputs="x", lock="", digest=digest, config=digest, layers=layers, unpacked=1, seconds=1.0).save()

def layer():
    write_layer(Store(paths.cache()), [file("x", os.urandom(1_000_000))], epoch=0, level=1, what="")

def folder():
    with scratch.folder(paths.cache()) as made:
        (made / "file").write_bytes(bytes(1_000_000))

for write in (record, layer, folder):
    try:
        write()
    except SeedbedError as error:
        print(error)
print([path.name for path in paths.cache().rglob("*") if path.is_file()])
"""


@pytest.mark.skipif(NO_MOUNTS, reason="nobody may mount a small disk here")
def test_a_full_disk_is_one_line_that_names_it_and_leaves_nothing(tmp_path):
    done = subprocess.run(
        [*ON_A_SMALL_DISK, str(tmp_path), sys.executable, FILLED],
        cwd=paths.ROOT,
        env={**os.environ, "SEEDBED_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    *complaints, left = done.stdout.splitlines()
    told = rf"{tmp_path}/seedbed/\S+: no space left on the disk at {tmp_path}; free some, or set SEEDBED_CACHE to a .*"
    assert len(complaints) == 3 and all(re.fullmatch(told, complaint) for complaint in complaints), done
    assert left == "[]"


def test_a_program_that_finds_the_disk_full_is_told_apart_from_others():
    files.check_space("E: cannot read: Permission denied", Path("/"))
    for said in ("pip: OSError: [Errno 28] No space left on device", "write: Disk quota exceeded"):
        with pytest.raises(SeedbedError, match="no space left on the disk at /; free some"):
            files.check_space(said, Path("/"))


def test_what_is_no_plain_file_in_the_place_of_a_blob_is_not_read(tmp_path):
    """Control: a FIFO was waited for, and /dev/zero read for ever."""
    os.mkfifo(tmp_path / "blob")
    with pytest.raises(SeedbedError, match=r"a layer: expected a plain file at .*: delete what is there"):
        files.check_sha256(tmp_path / "blob", "0" * 64, "a layer")
