"""Comparing images: equal ones are equal on every rung, and of others the first difference is named, to the byte."""

import gzip
import json
import os
import re
import tarfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from builder.errors import SeedbedError
from builder.oci.store import INDEX_TYPE, Store, blob_path, canonical_json
from builder.oci.tar import CHUNK
from builder.reproduce import diff
from builder.reproduce.diff import Comparison, Difference
from tests.layouts import BASE, EPOCH, TOP, File, file, tar_of, zstd


def no_engine() -> Any:
    raise AssertionError("an engine was asked")


def compared(ours: Path, theirs: Path) -> Comparison:
    return diff.compare(*(diff.open_image(str(path), no_engine) for path in (ours, theirs)))


def archived(folder: Path, prefix: str = "") -> Path:
    archive = folder.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, prefix + path.relative_to(folder).as_posix(), recursive=False)
    return archive


def changed(layer: Sequence[File], path: str, data: bytes | None = None, **fields: Any) -> list[File]:
    """The layer with one file changed."""
    return [
        file(path, old if data is None else data, **fields) if member.name == path else (member, old)
        for member, old in layer
    ]


# ---- equal ---------------------------------------------------------------------------------------------------------


def test_an_image_equals_itself_on_every_rung(image):
    comparison = compared(image(), image())
    assert comparison.equal
    assert comparison.differences == ()
    assert all(ours == theirs for ours, theirs in comparison.digests.values())
    assert comparison.digests.keys() == {"manifest", "config", "diff_ids", "layers"}


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_folder_equals_its_archive(image, prefix):
    assert compared(image(), archived(image(), prefix)).equal


def test_no_layer_is_read_where_digests_agree(image, monkeypatch):
    monkeypatch.setattr(diff.Image, "layer", no_engine)
    assert compared(image(), image()).equal


def test_attestations_and_other_platforms_beside_an_image_do_not_matter(image):
    def entries(entry: dict[str, Any]) -> list[dict[str, Any]]:
        others = [{"architecture": "unknown"}, {"architecture": "arm64"}]
        return [entry, *({"digest": "sha256:none", "platform": other} for other in others)]

    assert compared(image(entries=entries), image()).equal


def test_what_an_index_notes_about_its_making_does_not_matter(image):
    """An index may be dated; the image is what its manifest says."""
    dated = image(entries=lambda entry: [entry | {"annotations": {"org.opencontainers.image.created": "today"}}])
    assert (dated / "index.json").read_bytes() != (image() / "index.json").read_bytes()
    assert compared(dated, image()).equal


def test_an_index_in_an_index_is_followed(image, tmp_path):
    def nested(entry: dict[str, Any]) -> list[dict[str, Any]]:
        index = canonical_json({"manifests": [entry]})
        return [Store(tmp_path / "image-0").add(index, INDEX_TYPE).to_json()]

    assert compared(image(entries=nested), image()).equal


# ---- what differs --------------------------------------------------------------------------------------------------

CHANGES = {
    "mtime": ({"mtime": EPOCH + 1}, "2023-11-14T22:13:20+00:00", "2023-11-14T22:13:21+00:00"),
    "mode": ({"mode": 0o600}, "0644", "0600"),
    "owner": ({"uid": 1000}, "0:0", "1000:0"),
    "owner's name": ({"gname": "users"}, ":", ":users"),
    "size": ({"data": b"01234"}, "10", "5"),
    "type": ({"data": b"", "type": tarfile.SYMTYPE, "linkname": "a"}, "file", "symbolic link"),
    "xattrs": ({"pax_headers": {"SCHILY.xattr.user.x": "1"}}, "{}", "{'SCHILY.xattr.user.x': '1'}"),
    "content at byte 4": ({"data": b"0123x56789"}, "0x34", "0x78"),
}


@pytest.mark.parametrize("field", CHANGES)
def test_the_first_field_in_which_a_file_differs_is_named_with_both_values(image, field):
    change, ours, theirs = CHANGES[field]
    comparison = compared(image(BASE, TOP), image(BASE, changed(TOP, "opt/b", **change)))
    assert not comparison.equal
    assert comparison.differences == (Difference("layer 2 (step 1): /opt/b", field, ours, theirs),)


def test_links_and_devices_are_compared_too(image):
    def special(link: str, minor: int) -> list[File]:
        null = file("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=minor)
        return [file("bin", type=tarfile.SYMTYPE, linkname=link), null]

    [link] = compared(image(special("usr/bin", 3)), image(special("usr/sbin", 3))).differences
    assert (link.where, link.field, link.theirs) == ("layer 1 (step 0): /bin", "link", "usr/sbin")
    [device] = compared(image(special("usr/bin", 3)), image(special("usr/bin", 5))).differences
    assert (device.where, device.field, device.theirs) == ("layer 1 (step 0): /dev/null", "device", "1:5")


def test_a_byte_far_into_a_file_is_found(image):
    data = bytes(3 * CHUNK)
    other = data[:-7] + b"\1" + data[-6:]
    [difference] = compared(image([file("big", data)]), image([file("big", other)])).differences
    assert (difference.field, difference.ours, difference.theirs) == (
        f"content at byte {len(data) - 7}", "0x00", "0x01",
    )  # fmt: skip


def test_a_file_that_one_image_lacks_is_named_whichever_it_is(image):
    less = [TOP[0], TOP[2]]
    assert compared(image(TOP), image(less)).differences == (
        Difference("layer 1 (step 0): /opt/b", "presence", "there", "missing"),
    )
    assert compared(image(less), image(TOP)).differences == (
        Difference("layer 1 (step 0): /opt/b", "presence", "missing", "there"),
    )
    assert compared(image(TOP[:2]), image(TOP)).differences[0].where == "layer 1 (step 0): /opt/c"


def test_the_same_files_in_another_order_are_told_as_that(image):
    [difference] = compared(image(TOP), image([TOP[0], TOP[2], TOP[1]])).differences
    assert str(difference) == "layer 1 (step 0): /opt/b: order of entries: before /opt/c | after /opt/c"


def test_headers_that_say_the_same_in_other_bytes_are_told_as_that(image):
    long = [file("x" * 200)]
    [difference] = compared(image(long), image(long, form=tarfile.GNU_FORMAT)).differences
    assert difference.field == "headers or padding of the tar"


def test_the_first_of_several_layers_is_named(image):
    [difference] = compared(image(), image(changed(BASE, "etc/hostname", b"bix\n"), TOP[:1])).differences
    assert difference.where == "layer 1 (step 0): /etc/hostname"


def test_a_layer_more_is_told_by_their_number(image):
    first, *_ = compared(image(BASE), image(BASE, TOP)).differences
    assert (first.where, first.field, first.ours, first.theirs) == ("config", "number of layers", "1", "2")


def test_the_first_field_of_the_config_that_differs_is_named(image):
    env = compared(image(), image(config={"Env": ["A=1", "B=3"]})).differences
    assert env == (Difference("config", "config.Env.1", "B=2", "B=3"),)
    [label] = compared(image(), image(config={"Labels": {}})).differences
    assert str(label) == "config: config.Labels.io.seedbed.lock: one | missing"


def test_a_file_stands_before_the_config_that_lists_its_layer(image):
    files = changed(TOP, "opt/a", b"b")
    wheres = [each.where for each in compared(image(), image(BASE, files, config={"Env": []})).differences]
    assert wheres == ["layer 2 (step 1): /opt/a", "config"]


def test_the_same_tar_compressed_otherwise_is_told_as_that(image):
    comparison = compared(image(), image(compressed=lambda tar: zstd(tar, 19)))
    ours, theirs = comparison.digests["config"]
    assert ours == theirs
    assert [(each.where, each.field) for each in comparison.differences] == [("layer 1 (step 0)", "compressed bytes")]


@pytest.mark.parametrize(
    ("compressed", "media_type"), [(gzip.compress, "tar+gzip"), (bytes, "tar")], ids=["gzip", "uncompressed"]
)
def test_layers_may_be_compressed_in_any_of_the_usual_ways(image, compressed, media_type):
    theirs = image(BASE, changed(TOP, "opt/c", b"d"), compressed=compressed, media_type=media_type)
    first, *_ = compared(image(), theirs).differences
    assert str(first) == "layer 2 (step 1): /opt/c: content at byte 0: 0x63 | 0x64"


def test_the_verdict_as_data(image):
    verdict = compared(image(), image(BASE, changed(TOP, "opt/a", mode=0o600))).to_json()
    assert json.loads(json.dumps(verdict)) == verdict
    assert verdict["equal"] is False
    assert verdict["first_difference"] == {
        "where": "layer 2 (step 1): /opt/a", "field": "mode", "ours": "0644", "theirs": "0600",
    }  # fmt: skip
    assert [len(pair) for pair in verdict["digests"].values()] == [2, 2, 2, 2]
    assert compared(image(), image()).to_json()["first_difference"] is None


def test_however_large_a_layer_is_little_of_it_is_in_memory(image):
    large = 200_000_000

    def with_last_byte(byte: bytes) -> Path:
        return image([file("large", bytes(large) + byte)])

    ours, theirs = with_last_byte(b"\0"), with_last_byte(b"\1")
    tracemalloc.start()
    try:
        [difference] = compared(ours, theirs).differences
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert difference.field == f"content at byte {large}"
    assert peak < large / 10


# ---- what is no image ----------------------------------------------------------------------------------------------


def test_what_is_no_image_is_named_with_what_was_expected(tmp_path):
    (tmp_path / "text").write_text("no tar")
    tarfile.open(tmp_path / "empty.tar", "w").close()
    for name, found in {"": "no index.json in it", "text": "no whole tar", "empty.tar": "no index.json in it"}.items():
        with pytest.raises(SeedbedError, match=rf"^{tmp_path / name}: expected an OCI image layout.*, found {found}$"):
            diff.open_image(str(tmp_path / name), no_engine)


def test_a_name_that_no_engine_knows_is_told_so():
    class Engine:
        def has(self, name: str) -> bool:
            return False

    with pytest.raises(
        SeedbedError, match=r"^nobody/nothing:1: neither a file or folder here nor an image in the engi"
    ):
        diff.open_image("nobody/nothing:1", Engine)


def test_several_images_in_one_layout_are_refused(image):
    def two(entry: dict[str, Any]) -> list[dict[str, Any]]:
        return [entry, entry | {"digest": "sha256:other"}]

    with pytest.raises(SeedbedError, match="expected one image for linux/amd64, found 2"):
        diff.open_image(str(image(entries=two)), no_engine)


@pytest.mark.parametrize("keep", [0, 40, None], ids=["empty", "cut short", "a byte changed"])
def test_a_damaged_blob_is_never_taken_for_what_its_digest_says(image, keep):
    """Control: the manifests are equal, and so would be the verdict."""
    folder = image()
    manifest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    layer = json.loads((folder / blob_path(manifest)).read_text())["layers"][1]["digest"]
    blob = folder / blob_path(layer)
    data = blob.read_bytes()
    blob.write_bytes(data[:keep] if keep is not None else data[:-1] + bytes([data[-1] ^ 1]))
    found = "the digest sha256:" if keep is None else f"{keep} bytes, not {len(data)}"
    with pytest.raises(SeedbedError, match=f"damaged: the blob {layer} has {found}"):
        compared(image(), folder)


def test_wherever_an_archive_is_cut_short_it_is_refused(image):
    """In a header, in a document and in a layer: a tar's own end alone, zeros after the last member, can be missing."""
    archive = archived(image())
    whole = archive.read_bytes()
    needed = len(whole.rstrip(b"\0"))
    for kept in range(0, needed, 100):
        archive.write_bytes(whole[:kept])
        with pytest.raises(SeedbedError, match=rf"^{archive}: (expected an OCI image|damaged)"):
            diff.open_image(str(archive), no_engine)
    archive.write_bytes(whole)
    diff.open_image(str(archive), no_engine)


def test_a_damaged_manifest_is_one_line(image):
    folder = image()
    manifest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    (folder / blob_path(manifest)).write_text("{")
    with pytest.raises(SeedbedError, match="expected an OCI image, found one that is damaged"):
        diff.open_image(str(folder), no_engine)


def test_a_layer_that_is_no_tar_is_one_line(image):
    with pytest.raises(SeedbedError, match=r"layer 1 \(step 0\) cannot be read"):
        compared(image(b"x" * 2000), image())


# ---- what was made to mislead ----------------------------------------------------------------------------------------


def index_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "index.json").read_text())


def refused(path: Path) -> str:
    with pytest.raises(SeedbedError) as complaint:
        diff.open_image(str(path), no_engine)
    return str(complaint.value)


def test_an_index_in_an_index_for_ever_is_refused(image):
    folder = image()
    digest = index_of(folder)["manifests"][0]["digest"]
    (folder / blob_path(digest)).write_text((folder / "index.json").read_text())
    assert "found one that is damaged: an index in an index" in refused(folder)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "null", "1", '"x"', "{}", "{", "\xff", "[" * 100_000, '{"a":' * 100_000, "9" * 1_000_000),
        *('{"manifests": null}', '{"manifests": {}}', '{"manifests": [1]}', '{"manifests": [null]}'),
    ],
)
def test_an_index_that_is_none_is_one_line(image, text):
    folder = image()
    (folder / "index.json").write_bytes(text.encode("latin-1"))
    assert re.search("found one that is damaged: .", refused(folder))


@pytest.mark.parametrize(
    "digest", ["sha256:../../x", "../../x", "sha256:" + "g" * 64, "sha512:" + "a" * 128, "", 1, None]
)
def test_a_digest_that_leads_elsewhere_is_never_followed(image, digest):
    folder = image()
    (folder.parent / "x").write_text('{"manifests": []}')
    entry = index_of(folder)["manifests"][0]
    (folder / "index.json").write_text(json.dumps({"manifests": [entry | {"digest": digest}]}))
    assert "found one that is damaged: " in refused(folder)


def test_a_document_larger_than_any_is_not_read(image):
    folder = image()
    with (folder / "index.json").open("wb") as file:
        file.truncate(1 << 40)
    assert "index.json: larger than any document" in refused(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"config": None},
        {"config": []},
        {"config": {"digest": "sha256:../../x"}},
        {"layers": None},
        {"layers": {}},
        {"layers": [[]]},
        {"layers": [{"mediaType": 7, "digest": f"sha256:{'a' * 64}", "size": 1}]},
        {"layers": [{"mediaType": "tar", "digest": f"sha256:{'a' * 64}", "size": -1}]},
        {"layers": [{"mediaType": "tar", "digest": f"sha256:{'a' * 64}", "size": "1"}]},
        {"layers": [{"mediaType": "tar", "digest": f"sha256:{'a' * 64}", "size": 1e400}]},
        {"layers": [{"mediaType": "tar", "digest": "sha256:/etc/passwd", "size": 1}]},
        {"layers": []},
    ],
    ids=str,
)
def test_a_manifest_of_another_form_is_one_line(image, change):
    folder = image(manifest=lambda manifest: manifest | change)
    assert "found one that is damaged: " in refused(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"rootfs": None},
        {"rootfs": {"diff_ids": [1, 2]}},
        {"rootfs": {"diff_ids": []}},
        {"history": {}},
        {"history": [None]},
        {"history": [{"created_by": 1}]},
        {"config": []},
        {"config": {"Labels": []}},
        {"config": {"Labels": {"io.seedbed.lock": []}}},
    ],
    ids=str,
)
def test_a_config_of_another_form_is_one_line(image, change):
    assert "found one that is damaged: " in refused(image(described=lambda described: described | change))


@pytest.mark.parametrize("change", [{"history": None}, {"config": None}, {"config": {"Labels": None}}], ids=str)
def test_what_may_be_missing_may_be_null(image, change):
    assert diff.open_image(str(image(described=lambda described: described | change)), no_engine).labels == {} or (
        "history" in change
    )


def test_a_size_that_is_a_lie_is_refused_before_the_blob_is_read(image):
    def sized(manifest: dict[str, Any]) -> dict[str, Any]:
        return manifest | {"layers": [layer | {"size": 1 << 62} for layer in manifest["layers"]]}

    assert re.search(
        r"damaged: the blob sha256:\w+ has \d+ bytes, not 4611686018427387904", refused(image(manifest=sized))
    )


@pytest.mark.parametrize("place", ["index.json", "blob", "archive"])
@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_what_is_no_regular_file_is_not_waited_for(image, place, kind, tmp_path):
    folder = image()
    path = {
        "index.json": folder / "index.json",
        "blob": folder / blob_path(index_of(folder)["manifests"][0]["digest"]),
        "archive": tmp_path / "image.tar",
    }[place]
    path.unlink(missing_ok=True)
    make = {"FIFO": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind]
    make(path)
    assert re.search(
        "not a regular file|found no index.json", refused(tmp_path / "image.tar" if place == "archive" else folder)
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_a_document_in_an_archive_is_a_file(tmp_path, kind):
    path = tmp_path / "image.tar"
    path.write_bytes(tar_of([file("index.json", type=kind, linkname="index.json")]))
    assert refused(path).endswith("found no index.json in it")


def pax_header(attributes: bytes, size: int | None = None) -> bytes:
    """A pax header of its own, which nothing need follow."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, len(attributes) if size is None else size
    return header.tobuf(tarfile.USTAR_FORMAT) + attributes + bytes(-len(attributes) % 512)


@pytest.mark.parametrize(
    "layer",
    [
        pax_header(b"9 a=bcd\n") * 5000 + tar_of(TOP),
        pax_header(b"", size=8_000_000_000),
        tar_of([file("a", b"abc" * 1000)])[:2000],
    ],
    ids=["a chain of headers", "a huge header", "cut short"],
)
def test_a_tar_that_no_program_writes_is_one_line(image, layer):
    """None of them takes more memory than it has bytes, either."""
    tracemalloc.start()
    try:
        with pytest.raises(SeedbedError, match=r"layer 1 \(step 0\) cannot be read"):
            compared(image(), image(layer, TOP))
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_a_layer_of_broken_deflate_is_one_line(image):
    def broken(tar: bytes) -> bytes:
        packed = gzip.compress(tar)
        return packed[:20] + b"\xff" * 20 + packed[40:]

    with pytest.raises(SeedbedError, match=r"layer 2 \(step 1\) cannot be read"):
        compared(image(), image(BASE, changed(TOP, "opt/a", b"b"), compressed=broken, media_type="tar+gzip"))


@pytest.mark.parametrize("mtime", ["1e30", "-1e30", "inf", "nan", "253402300800"])
def test_a_time_that_no_calendar_has_is_told_in_seconds(image, mtime):
    dated = [file("etc/hostname", b"box\n", pax_headers={"mtime": mtime}), *BASE[1:]]
    first, *_ = compared(image(), image(dated, TOP)).differences
    assert (first.field, first.theirs) == ("mtime", str(float(mtime)))


def test_the_names_of_files_do_not_act_on_the_terminal(image, capsys):
    diff.print_comparison(compared(image(), image(BASE, [file("opt/\x1b[2J\udcff"), *TOP])))
    assert r"/opt/\x1b[2J\udcff: presence: missing | there" in capsys.readouterr().out


def test_a_link_to_nowhere_is_no_name_of_an_image(tmp_path):
    (tmp_path / "image.tar").symlink_to("nowhere")
    with pytest.raises(SeedbedError, match=r"image\.tar"):
        diff.open_image(str(tmp_path / "image.tar"), no_engine)


def test_what_is_no_file_is_named_if_no_engine_can_be_asked_for_it():
    def none_answers():
        raise SeedbedError("no Docker engine answers")

    with pytest.raises(SeedbedError, match=r"^image\.tar: no file or folder here, .*no Docker engine answers$"):
        diff.open_image("image.tar", none_answers)
