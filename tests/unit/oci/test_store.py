"""The store: what is written is complete, and never believed when half-written."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.errors import SeedbedError
from builder.oci.store import LAYER_TYPE, Descriptor, Layer, canonical_json
from builder.paths import ROOT
from tests.layouts import layer


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_canonical_json_has_one_form():
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()


def test_a_layer_is_found_again_under_its_key_with_todays_description(store):
    made = store.remember("key", layer(store, what="as it was called"))
    assert store.find("key", what="as it is called") == Layer(
        made.descriptor, made.diff_id, made.raw_size, "as it is called"
    )
    assert store.find("another key", what="") is None


def test_a_layer_that_is_found_is_not_made_again(store):
    def refuse() -> Layer:
        raise AssertionError("made twice")

    first = store.layer("key", lambda: layer(store), what="a layer")
    assert store.layer("key", refuse, what="a layer") == first


@pytest.mark.parametrize("damage", ["blob gone", "blob torn", "note torn", "note empty", "note of another form"])
def test_a_damaged_layer_is_made_anew(store, damage):
    made = store.remember("key", layer(store))
    blob, note = store.blob(made.descriptor.digest), store.root / "layers" / "key.json"
    match damage:
        case "blob gone":
            blob.unlink()
        case "blob torn":
            blob.write_bytes(b"lay")
        case "note torn":
            note.write_bytes(note.read_bytes()[:20])
        case "note empty":
            note.write_bytes(b"")
        case "note of another form":
            note.write_bytes(b'{"descriptor": {}}')
    assert store.find("key", what="") is None
    assert store.layer("key", lambda: layer(store), what="a layer") == made
    assert store.find("key", what="a layer") == made


def test_others_may_read_what_is_in_the_store_whatever_the_umask(store):
    before = os.umask(0o077)
    try:
        made = store.remember("key", layer(store))
    finally:
        os.umask(before)
    paths = [store.blob(made.descriptor.digest), store.root / "layers" / "key.json"]
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o644, 0o644]


def test_what_fails_while_it_is_written_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.new_blob() as blob:
        blob.write(b"half of it")
        raise RuntimeError
    assert files(store.root) == []


def test_what_a_killed_writer_left_is_never_believed_and_goes_with_the_next_write(store):
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITER, str(store.root)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    [left] = files(store.root)
    assert Path(left).name.startswith(".writing-")
    kept = layer(store)
    assert files(store.root) == [store.blob(kept.descriptor.digest).relative_to(store.root).as_posix()]


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from builder.oci.store import Store
with Store(Path(sys.argv[1])).new_blob() as blob:
    blob.write(bytes(1 << 20))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_that_is_being_written_survives_other_writers(store):
    with store.new_blob() as slow:
        slow.write(bytes(1 << 20))
        layer(store)
        assert store.blob(slow.commit(LAYER_TYPE).digest).exists()


def test_two_builds_that_write_the_same_layer_at_once_agree(store):
    barrier, made = threading.Barrier(2), []

    def write() -> None:
        with store.new_blob() as blob:
            blob.write(b"layer")
            barrier.wait()
            descriptor = blob.commit(LAYER_TYPE)
        made.append(store.remember("key", Layer(descriptor, "sha256:" + "1" * 64, 10, "a layer")))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0] == made[1] == store.find("key", what="a layer")
    assert [name for name in files(store.root) if ".writing-" in name] == []


def test_a_check_that_passed_is_not_run_again_and_one_that_failed_is(store):
    runs = []

    def fail() -> None:
        runs.append("failed")
        raise SeedbedError("no")

    for _ in range(2):
        with pytest.raises(SeedbedError):
            store.once("key", fail)
    store.once("key", lambda: runs.append("passed"))
    store.once("key", lambda: runs.append("passed again"))
    assert runs == ["failed", "failed", "passed"]


def test_descriptors_have_the_names_the_specification_gives_them():
    descriptor = Descriptor(LAYER_TYPE, "sha256:" + "0" * 64, 3)
    assert json.loads(canonical_json(descriptor.to_json())) == {
        "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd",
        "digest": "sha256:" + "0" * 64,
        "size": 3,
    }
    assert Descriptor.from_json(descriptor.to_json()) == descriptor


@pytest.mark.parametrize("digest", ["sha256:../../x", "../x", "sha256:" + "A" * 64, f"sha256:{'a' * 64}\n", ""])
def test_a_digest_that_is_none_leads_to_no_file(store, digest):
    with pytest.raises(ValueError, match="expected sha256: and 64 hex digits, found"):
        store.blob(digest)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"size":5', '"size":-1'),
        ('"size":5', '"size":"large"'),
        ("sha256:", "sha256:../"),
        ("{", "["),
        ('"a layer"', "[]"),
    ],
)
def test_a_note_of_another_form_is_none(store, before, after):
    store.remember("key", layer(store))
    [note] = (store.root / "layers").iterdir()
    assert before in note.read_text()
    note.write_text(note.read_text().replace(before, after, 1))
    assert store.find("key", what="a layer") is None


def test_a_note_that_is_no_regular_file_is_not_waited_for(store):
    (store.root / "layers").mkdir(parents=True)
    os.mkfifo(store.root / "layers" / "key.json")
    assert store.find("key", what="a layer") is None


def test_a_note_with_a_flipped_bit_is_not_believed(store):
    """Control: whatever it says instead went into the image, and the build had another digest without a word."""
    made = store.layer("key", lambda: layer(store), what="a layer")
    note = store._note("key")
    whole = note.read_bytes()
    assert store.find("key", what="a layer") == made
    for at in range(len(whole)):
        note.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.find("key", what="a layer") in (None, made)
