"""A rebuild kit as it is written: the same bytes from the same lock, and each package under its own sha256."""

import json
import os
import tarfile

import pytest

from builder.debian import archive
from builder.errors import SeedbedError, UsageError
from builder.layers.base import folder_of_packages
from builder.oci.store import MANIFEST_TYPE, Descriptor
from builder.publish import kit
from tests.kits import package, recipe_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def packages(cache) -> list[archive.Package]:
    return [package("mmdebstrap", b"perl"), package("libc6", b"libc"), package("tini", b"init" * 1000)]


@pytest.fixture
def locked(resolve, packages):
    return recipe_of(resolve(), *packages)


def test_written_twice_it_has_the_same_bytes_whatever_the_files_look_like(locked, packages, tmp_path):
    kit.write(locked, tmp_path / "one.tar")
    for each in packages:
        path = folder_of_packages() / f"{each.sha256}.deb"
        os.utime(path, (0, 12345))
        path.chmod(0o600)
    before = os.umask(0o077)
    try:
        kit.write(locked, tmp_path / "two.tar")
    finally:
        os.umask(before)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_its_layers_are_the_packages_under_their_own_sha256_and_file_name(locked, packages, tmp_path):
    kit.write(locked, tmp_path / "layout")
    index = json.loads((tmp_path / "layout/index.json").read_bytes())
    [entry] = index["manifests"]
    assert entry["artifactType"] == "application/vnd.seedbed.kit.v1"
    manifest = json.loads((tmp_path / f"layout/blobs/{entry['digest'].replace(':', '/')}").read_bytes())
    named = {layer["digest"]: layer["annotations"]["org.opencontainers.image.title"] for layer in manifest["layers"]}
    assert named == {f"sha256:{each.sha256}": f"{each.name}_1.0-1_amd64.deb" for each in packages}
    assert {path.name for path in (tmp_path / "layout/blobs/sha256").iterdir()} == {
        *(each.sha256 for each in packages),
        manifest["config"]["digest"].removeprefix("sha256:"),
        entry["digest"].removeprefix("sha256:"),
    }


def test_the_artifact_beside_an_image_names_it(locked):
    subject = Descriptor.of(b"an image", MANIFEST_TYPE)
    assert json.loads(kit.artifact(locked, subject).manifest())["subject"] == subject.to_json()
    assert "subject" not in json.loads(kit.artifact(locked).manifest())


def test_a_package_that_was_altered_in_the_cache_is_not_written_and_named(locked, packages, tmp_path):
    (folder_of_packages() / f"{packages[2].sha256}.deb").write_bytes(b"evil" * 1000)
    with pytest.raises(SeedbedError, match=r"^tini=1\.0-1: expected sha256 "):
        kit.write(locked, tmp_path / "kit.tar")
    assert not (tmp_path / "kit.tar").exists()


def test_it_does_not_replace_a_folder_or_go_into_one_that_is_in_use(locked, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").touch()
    (tmp_path / "folder.tar").mkdir()
    for name in ("used", "folder.tar"):
        with pytest.raises(UsageError, match=rf"^--output {tmp_path}/{name}: expected "):
            kit.write(locked, tmp_path / name)


def test_an_archive_holds_plain_files_alone(locked, tmp_path):
    kit.write(locked, tmp_path / "kit.tar")
    with tarfile.open(tmp_path / "kit.tar") as tar:
        members = tar.getmembers()
    assert all(member.isreg() and member.mtime == 0 for member in members)
    assert [member.name for member in members] == sorted(member.name for member in members)
