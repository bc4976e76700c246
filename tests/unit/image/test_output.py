"""`build --output`: an image as a folder or a tar that others read, the same bytes each time, in nobody's way."""

import tarfile
from pathlib import Path

import pytest

from builder.errors import SeedbedError, UsageError
from builder.image import assemble, output
from builder.image.record import LayerRecord, Record
from builder.oci.layout import OciImage, compose, keep
from builder.oci.tar import file, write_layer
from builder.reproduce import diff


@pytest.fixture
def image(tmp_path, monkeypatch) -> OciImage:
    """An image in the store."""
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    store = assemble.store()
    layers = [write_layer(store, [file(name, name.encode())], epoch=0, level=1, what=name) for name in "ab"]
    image = compose(layers, {"Labels": {"a": "b"}}, epoch=0)
    keep(store, image)
    return image


@pytest.fixture
def built(image) -> Record:
    layer = LayerRecord(digest=image.layers[0].descriptor.digest, size=1, what="a layer")
    return Record(
        image="tiny", inputs="i", lock="l", digest=image.digest, config=image.config_digest, layers=(layer,),
        unpacked=0, seconds=1,
    )  # fmt: skip


def no_engine():
    raise AssertionError("an engine was asked")


def files(place: Path) -> dict[str, bytes]:
    """The content of every file of a folder or a tar."""
    if place.is_dir():
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with tarfile.open(place) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


@pytest.mark.parametrize("name", ["image", "image.tar", "a/new/folder", "a/new/image.tar"])
def test_it_is_an_image_that_can_be_read_without_an_engine(built, image, tmp_path, name):
    output.write(built, tmp_path / name)
    read = diff.open_image(str(tmp_path / name), no_engine)
    assert read.digest == built.digest and read.labels == {"a": "b"}
    assert read.layers == [layer.descriptor.digest for layer in image.layers]


def test_a_folder_and_a_tar_hold_the_same_files_and_no_others(built, image, tmp_path):
    for name in ("image", "image.tar"):
        output.write(built, tmp_path / name)
    blobs = {built.digest, built.config, *(layer.descriptor.digest for layer in image.layers)}
    expected = {"oci-layout", "index.json", "manifest.json", *(f"blobs/{digest.replace(':', '/')}" for digest in blobs)}
    assert files(tmp_path / "image") == files(tmp_path / "image.tar")
    assert files(tmp_path / "image").keys() == expected


def test_a_tar_is_the_same_bytes_each_time(built, tmp_path):
    for name in ("a.tar", "b.tar"):
        output.write(built, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_tar_is_whole_when_it_gets_its_name(built, tmp_path, monkeypatch):
    named, replace = [], Path.replace

    def replaced(path: Path, target: Path) -> None:
        named.append(path.read_bytes())
        replace(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    output.write(built, tmp_path / "image.tar")
    assert named[-1] == (tmp_path / "image.tar").read_bytes()


def test_a_tar_says_nothing_of_the_day_or_of_who_made_it(built, tmp_path):
    output.write(built, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in archive} == {
            (0, 0, 0, "", 0o644)
        }


def test_an_empty_folder_is_filled_and_an_older_tar_replaced(built, tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "image.tar").write_text("older")
    for name in ("image", "image.tar"):
        output.write(built, tmp_path / name)
        assert diff.open_image(str(tmp_path / name), no_engine).digest == built.digest


def test_a_name_without_a_folder_is_in_the_working_directory(built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output.write(built, Path("image.tar"))
    assert (tmp_path / "image.tar").is_file()


@pytest.mark.parametrize("name", ["folder", "folder.tar", "file"])
def test_what_is_in_the_way_is_refused_in_one_line_and_stays(built, tmp_path, name):
    place = tmp_path / name
    if name == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    before = files(tmp_path)
    with pytest.raises(
        UsageError, match=rf"^--output {place}: expected (an empty folder|a file), or none yet"
    ) as refused:
        output.write(built, place)
    assert "\n" not in str(refused.value)
    assert {path: data for path, data in files(tmp_path).items() if path in before} == before
    assert not list(tmp_path.glob(".writing-*"))


@pytest.mark.parametrize("name", ["image", "image.tar"])
def test_a_place_that_cannot_be_written_to_is_one_line(built, tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(SeedbedError, match=r"(Not a directory|File exists); check its permissions"):
        output.write(built, tmp_path / "file" / name)


@pytest.mark.parametrize("name", ["image", "image.tar"])
def test_an_image_that_the_store_has_lost_a_part_of_leaves_nothing_that_looks_whole(built, image, tmp_path, name):
    assemble.store().blob(image.layers[1].descriptor.digest).unlink()
    with pytest.raises(SeedbedError, match=r"^\S+ is missing; build the image again$"):
        output.write(built, tmp_path / name)
    assert not (tmp_path / "image.tar").exists() and not (tmp_path / "image" / "index.json").exists()


def test_editing_the_folder_leaves_the_store_alone(built, image, tmp_path):
    output.write(built, tmp_path / "image")
    for path in (tmp_path / "image").rglob("*"):
        if path.is_file():
            path.write_bytes(b"edited")
    for digest in (built.digest, built.config, *(layer.descriptor.digest for layer in image.layers)):
        assemble.store().proven(digest)
