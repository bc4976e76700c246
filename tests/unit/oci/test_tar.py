"""Layer tars: the same entries give the same bytes on any machine, and any tar reads them."""

import hashlib
import io
import os
import random
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from builder.errors import SeedbedError
from builder.oci import tar
from builder.oci.store import Layer, Store
from builder.oci.tar import Entry, directory, file, layer_key, opened, symlink, tar_to_layer, write_layer
from builder.paths import ROOT

EPOCH = 1_700_000_000
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def entries() -> list[Entry]:
    """One of everything, with enough content to need several of zstd's jobs."""
    noise = random.Random(1).randbytes(6_000_000)
    return [
        file("opt/venv/bin/python-config", b"#!/bin/sh\n", mode=0o755),
        file("opt/venv/lib/big.so", noise),
        file("opt/venv/lib/" + "long/" * 40 + "name", b"long"),
        file("opt/venv/lib/naïve", b"not ASCII"),
        file("opt/venv-too", b""),
        replace(file("home/user/.bashrc", b"# hi\n"), uid=1000, gid=1000),
        replace(file("home/huge-uid", b""), uid=3_000_000, gid=2_097_152),
        directory("tmp", mode=0o1777),
        symlink("usr/bin/python", "/usr/bin/" + "x" * 120),
        replace(file("usr/bin/ping", b"ELF"), xattrs={"security.capability": CAPABILITY}, mode=0o4755),
        Entry("dev/null", kind=tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
    ]


def write(store: Store, items: list[Entry], **changes: int) -> Layer:
    return write_layer(store, items, **({"epoch": EPOCH, "level": 1} | changes), what="a layer")


def raw(store: Store, layer: Layer) -> bytes:
    with store.blob(layer.descriptor.digest).open("rb") as blob:
        return zstandard.ZstdDecompressor().stream_reader(blob).read()


def members(store: Store, layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(raw(store, layer))) as archive:
        return {member.name: member for member in archive}


def plain_tar(path: Path, *infos: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in infos:
            archive.addfile(info, io.BytesIO(data))
    return path


def info(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size, made.mtime = len(data), 1_234_567_890
    for field, value in fields.items():
        setattr(made, field, value)
    return made, data


# The same bytes


def test_a_layer_names_its_own_bytes(store):
    layer = write(store, entries())
    assert layer.diff_id == f"sha256:{hashlib.sha256(raw(store, layer)).hexdigest()}"
    assert layer.raw_size == len(raw(store, layer))
    blob = store.blob(layer.descriptor.digest).read_bytes()
    assert layer.descriptor.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert layer.descriptor.size == len(blob)


def test_the_bytes_of_given_entries_never_change(store):
    """A golden value: whoever changes it raises FORMAT, and changes the digest of every image."""
    assert write(store, entries()).diff_id == "sha256:516546af8b2142ebbe8ead5c76551030a7cbf661197e6e8b86c4b500403dbf54"


def test_the_order_of_entries_does_not_matter(store):
    shuffled = entries()
    random.Random(2).shuffle(shuffled)
    assert write(store, shuffled) == write(store, entries()) == write(store, entries()[::-1])


def test_a_layer_is_compressed_as_by_any_number_of_threads_but_none(store):
    layer = write(store, entries())
    data, digests = raw(store, layer), []
    for threads in (1, 2, 4, 0):
        compressor = zstandard.ZstdCompressor(level=1, threads=threads).compressobj()
        digests.append(f"sha256:{hashlib.sha256(compressor.compress(data) + compressor.flush()).hexdigest()}")
    *threaded, alone = digests
    assert set(threaded) == {layer.descriptor.digest} != {alone}


def test_how_content_is_cut_into_chunks_does_not_matter(store):
    data = random.Random(3).randbytes(5_000_000)
    whole = Entry("a", size=len(data), content=lambda: [data])
    pieces = Entry("a", size=len(data), content=lambda: (data[at : at + 777] for at in range(0, len(data), 777)))
    assert write(store, [whole]) == write(store, [pieces])


def test_umask_time_zone_and_clock_do_not_matter(store, monkeypatch):
    first = write(store, entries())
    before = os.umask(0o077)
    try:
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        monkeypatch.setattr(time, "time", lambda: 4e9)
        assert write(store, entries()) == first
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "C.UTF-8"])
def test_the_locale_does_not_matter(store, locale):
    script = (
        "import sys; from pathlib import Path; from builder.oci.store import Store; from builder.oci.tar import *\n"
        "print(write_layer(Store(Path(sys.argv[1])), [file('naïve', b'')], epoch=1, level=1, what='').diff_id)"
    )
    environment = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-X", "utf8=0", "-c", ascii_only(script), str(store.root)]
    printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    expected = write_layer(store, [file("naïve", b"")], epoch=1, level=1, what="")
    assert printed.stdout.strip() == expected.diff_id


def ascii_only(script: str) -> str:
    return script.encode("ascii", "backslashreplace").decode()


@pytest.mark.parametrize(
    "change",
    [{"mode": 0o600}, {"uid": 1}, {"gid": 1}, {"path": "b"}, {"content": lambda: [b"y"]}, {"xattrs": {"user.a": b"1"}}],
    ids=lambda change: next(iter(change)),
)
def test_every_field_of_an_entry_matters(store, change):
    before = file("a", b"x")
    assert write(store, [before]).diff_id != write(store, [replace(before, **change)]).diff_id


def test_the_epoch_matters(store):
    assert write(store, entries()).diff_id != write(store, entries(), epoch=EPOCH + 1).diff_id


def test_the_level_changes_the_blob_and_not_what_is_in_it(store):
    fast, small = write(store, entries(), level=1), write(store, entries(), level=9)
    assert fast.diff_id == small.diff_id


# What is in a layer


def test_every_entry_comes_back_as_it_went_in(store):
    found = members(store, write(store, entries()))
    for entry in entries():
        member = found[entry.path]
        assert (member.type, member.mode, member.uid, member.gid) == (entry.kind, entry.mode, entry.uid, entry.gid)
        assert (member.size, member.linkname, member.mtime) == (entry.size, entry.link, EPOCH)
        assert (member.uname, member.gname) == ("", "")
    assert (found["dev/null"].devmajor, found["dev/null"].devminor) == (1, 3)
    capability = found["usr/bin/ping"].pax_headers["SCHILY.xattr.security.capability"]
    assert capability.encode("utf-8", "surrogateescape") == CAPABILITY


def test_gnu_tar_reads_it(store, tmp_path):
    unpacked = tmp_path / "root"
    unpacked.mkdir()
    safe = [entry for entry in entries() if entry.kind != tarfile.CHRTYPE]
    data = raw(store, write(store, safe))
    subprocess.run(["tar", "--no-same-owner", "-xf-", "-C", str(unpacked)], input=data, check=True)
    for entry in safe:
        if entry.kind == tarfile.REGTYPE:
            assert (unpacked / entry.path).read_bytes() == b"".join(entry.content())


def test_directories_come_before_what_is_in_them_and_once(store):
    names = list(members(store, write(store, [file("a/b/c", b""), file("a/b/d", b""), file("a-b", b"")])))
    assert names == ["a", "a/b", "a/b/c", "a/b/d", "a-b"]


def test_a_missing_parent_is_roots_and_0755_and_a_given_one_stays_as_given(store):
    found = members(store, write(store, [file("opt/x/y", b""), directory("opt", mode=0o700, uid=7)]))
    assert (found["opt"].mode, found["opt"].uid) == (0o700, 7)
    assert (found["opt/x"].mode, found["opt/x"].uid, found["opt/x"].mtime) == (0o755, 0, EPOCH)


def test_a_file_above_8_gib_has_its_size_in_a_pax_header():
    header = tar._header(Entry("big", size=2**33), EPOCH)
    with tarfile.open(fileobj=io.BytesIO(header + bytes(1024)), ignore_zeros=True) as archive:
        assert archive.next().size == 2**33


@pytest.mark.parametrize("length", range(85, 130))
def test_a_pax_record_counts_its_own_digits(length):
    record = tar._pax_record(b"path", b"x" * length)
    assert int(record.partition(b" ")[0]) == len(record)


# What is refused


@pytest.mark.parametrize("path", ["/etc/passwd", "../etc/passwd", "a/../../b", "a/./b", "a//b", "a/", "", "a\0b"])
def test_a_path_that_could_leave_the_root_is_refused(store, path):
    with pytest.raises(SeedbedError, match="expected a path inside the image"):
        write(store, [file(path, b"")])


def test_two_entries_with_one_path_are_refused(store):
    with pytest.raises(SeedbedError, match="found a/b twice"):
        write(store, [file("a/b", b"1"), file("a/b", b"1")])


def test_a_file_with_something_below_it_is_refused(store):
    with pytest.raises(SeedbedError, match="expected a directory at a, found a file and, below it, a/b"):
        write(store, [file("a", b""), file("a/b", b"")])


@pytest.mark.parametrize(("size", "found"), [(3, "found more"), (9, "found 5 fewer")])
def test_content_of_another_length_is_refused_and_leaves_no_blob(store, size, found):
    with pytest.raises(SeedbedError, match=f"expected {size} bytes for a, {found}"):
        write(store, [replace(file("a", b"four"), size=size)])
    assert not [path for path in store.root.rglob("*") if path.is_file()]


# A tar made by somebody else


def test_of_a_foreign_tar_everything_stays_but_times_names_of_owners_and_order(store, tmp_path):
    source = plain_tar(
        tmp_path / "root.tar",
        info("./usr/bin/su", b"ELF", mode=0o4755, uid=0, gid=42, uname="root", gname="shadow"),
        info("./", type=tarfile.DIRTYPE, mode=0o700),
        info("./bin", type=tarfile.SYMTYPE, linkname="usr/bin", mode=0o777),
        info("./usr/bin/", type=tarfile.DIRTYPE, mode=0o755),
        info("./usr/", type=tarfile.DIRTYPE, mode=0o755),
        info("./dev/null", type=tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        info("./usr/bin/ping", b"ELF", pax_headers={"SCHILY.xattr.user.x": "1", "atime": "5"}),
    )
    layer = tar_to_layer(store, source, epoch=EPOCH, level=1, what="Debian")
    found = members(store, layer)
    assert list(found) == ["bin", "dev", "dev/null", "usr", "usr/bin", "usr/bin/ping", "usr/bin/su"]
    assert (found["usr/bin/su"].mode, found["usr/bin/su"].gid, found["usr/bin/su"].gname) == (0o4755, 42, "")
    assert (found["bin"].type, found["bin"].linkname) == (tarfile.SYMTYPE, "usr/bin")
    assert found["usr/bin/ping"].pax_headers == {"SCHILY.xattr.user.x": "1"}
    assert {member.mtime for member in found.values()} == {EPOCH}


def test_a_layer_written_anew_is_the_same_layer(store, tmp_path):
    layer = write(store, entries())
    (tmp_path / "again.tar").write_bytes(raw(store, layer))
    assert tar_to_layer(store, tmp_path / "again.tar", epoch=EPOCH, level=1, what="a layer") == layer


def test_hard_links_share_one_content_whichever_name_the_tar_has_first(store, tmp_path):
    def tar_of(first: str, *others: str) -> Path:
        links = [info(name, type=tarfile.LNKTYPE, linkname=f"./{first}") for name in others]
        return plain_tar(tmp_path / "links.tar", info(first, b"shared", mode=0o755), *links)

    layers = [
        tar_to_layer(store, tar_of(*names), epoch=EPOCH, level=1, what="")
        for names in (("z", "m/n", "a"), ("a", "z", "m/n"), ("m/n", "a", "z"))
    ]
    assert len(set(layers)) == 1
    found = members(store, layers[0])
    assert [(member.name, member.islnk(), member.linkname) for member in found.values() if not member.isdir()] == [
        ("a", False, ""),
        ("m/n", True, "a"),
        ("z", True, "a"),
    ]


def test_a_hard_link_to_nothing_is_refused(store, tmp_path):
    source = plain_tar(tmp_path / "root.tar", info("a", type=tarfile.LNKTYPE, linkname="gone"))
    with pytest.raises(SeedbedError, match="expected gone, which a is a hard link to"):
        tar_to_layer(store, source, epoch=EPOCH, level=1, what="")


def test_what_is_not_to_be_kept_stays_out(store, tmp_path):
    source = plain_tar(tmp_path / "root.tar", info("usr/lib/a.py", b"1"), info("var/log/dpkg.log", b"now"))
    layer = tar_to_layer(store, source, epoch=EPOCH, level=1, what="", keep=lambda path: not path.startswith("var/"))
    assert list(members(store, layer)) == ["usr", "usr/lib", "usr/lib/a.py"]


def test_a_tar_that_is_cut_short_is_refused(store, tmp_path):
    source = plain_tar(tmp_path / "root.tar", info("a", bytes(5000)))
    source.write_bytes(source.read_bytes()[:2000])
    with pytest.raises(SeedbedError, match=r"expected a whole tar, found unexpected end of data in .*root\.tar"):
        tar_to_layer(store, source, epoch=EPOCH, level=1, what="")


# Keys


def test_the_key_of_a_layer_covers_its_kind_its_inputs_and_what_writes_it(monkeypatch):
    key = layer_key("wheels", {"a": 1, "b": 2})
    assert key == layer_key("wheels", {"b": 2, "a": 1})
    others = {layer_key("bytecode", {"a": 1, "b": 2}), layer_key("wheels", {"a": 1, "b": 3})}
    monkeypatch.setattr(tar, "FORMAT", tar.FORMAT + 1)
    others.add(layer_key("wheels", {"a": 1, "b": 2}))
    monkeypatch.undo()
    monkeypatch.setattr(zstandard, "ZSTD_VERSION", (0, 0, 0))
    others.add(layer_key("wheels", {"a": 1, "b": 2}))
    assert len(others - {key}) == 4


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"x" * len(data), lambda data: b""])
def test_a_broken_layer_is_named_and_what_to_do(store, damage):
    made = write_layer(store, [file("a", random.Random(0).randbytes(5000))], epoch=0, level=1, what="a layer")
    blob = store.blob(made.descriptor.digest)
    blob.write_bytes(damage(blob.read_bytes()))
    with (
        pytest.raises(SeedbedError, match=rf"{blob}: broken \(.*\): delete that file and build again"),
        opened(blob) as tar,
    ):
        for member in tar:
            tar.extractfile(member).read()
