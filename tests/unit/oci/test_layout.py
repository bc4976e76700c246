"""Images: composed in one form whose digest follows from what goes in, written as layouts that are complete."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import SeedbedError
from builder.oci.layout import OciImage, compose, keep, read_image, write_layout
from builder.oci.store import Store, canonical_json
from tests.layouts import layer

EPOCH = 1_700_000_000
CONTAINER = {"WorkingDir": "/workspace", "Env": ["SEEDBED_SEED=42", "PATH=/opt/venv/bin"]}


def stored(store: Store, image: OciImage) -> OciImage:
    """The image, once the store has its documents too."""
    keep(store, image)
    return image


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Composing


def test_the_same_layers_and_configuration_give_the_same_bytes_whatever_the_order_of_keys(store):
    layers = [layer(store, b"one"), layer(store, b"two")]
    image = compose(layers, CONTAINER, epoch=EPOCH)
    again = compose(layers, dict(reversed(CONTAINER.items())), epoch=EPOCH)
    assert (image.manifest, image.config) == (again.manifest, again.config)


def test_both_documents_are_canonical_json(store):
    image = compose([layer(store, what="é")], CONTAINER, epoch=EPOCH)
    for document in (image.manifest, image.config):
        assert document == canonical_json(json.loads(document))


@pytest.mark.parametrize("change", ["epoch", "configuration", "order", "layer", "what"])
def test_a_change_of_what_goes_in_changes_the_digest(store, change):
    layers = [layer(store, b"one"), layer(store, b"two")]
    other = {
        "order": layers[::-1],
        "layer": [layers[0], layer(store, b"three")],
        "what": [layers[0], replace(layers[1], what="renamed")],
    }.get(change, layers)
    container = {**CONTAINER, "User": "1000"} if change == "configuration" else CONTAINER
    changed = compose(other, container, epoch=EPOCH + (change == "epoch"))
    assert changed.digest != compose(layers, CONTAINER, epoch=EPOCH).digest


def test_the_digest_of_a_given_image_never_changes(store):
    """A golden value: whoever changes it changes the digest of every image."""
    image = compose([replace(layer(store), diff_id="sha256:" + "1" * 64)], CONTAINER, epoch=EPOCH)
    assert image.digest == "sha256:1232117a158dfe9d8fd4d22a6b3bab4923f6f0de98defd7558950d87fa862145"


def test_what_an_image_weighs_once_unpacked_is_no_part_of_it(store):
    one = layer(store)
    images = [compose([replace(one, raw_size=size)], CONTAINER, epoch=EPOCH) for size in (1, 2)]
    assert images[0].digest == images[1].digest


def test_the_config_has_a_diff_id_and_a_dated_line_of_history_for_each_layer(store):
    layers = [layer(store, what="Debian"), layer(store, what="torch")]
    config = json.loads(compose(layers, CONTAINER, epoch=EPOCH).config)
    assert config["config"] == CONTAINER
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    assert config["history"] == [
        {"created": "2023-11-14T22:13:20Z", "created_by": what} for what in ("Debian", "torch")
    ]


# Reading


def test_an_image_reads_back_as_it_was_composed(store):
    image = stored(store, compose([layer(store, b"one"), layer(store, b"two")], CONTAINER, epoch=EPOCH))
    read = read_image(store, image.digest)
    assert (read.digest, read.config_digest, read.manifest) == (image.digest, image.config_digest, image.manifest)
    assert [layer.descriptor for layer in read.layers] == [layer.descriptor for layer in image.layers]
    assert [layer.what for layer in read.layers] == ["a layer", "a layer"]


@pytest.mark.parametrize("document", ["manifest", "config"])
def test_an_image_of_which_the_store_lacks_a_document_is_one_line(store, document):
    image = stored(store, compose([layer(store)], CONTAINER, epoch=EPOCH))
    blob = store.blob(image.digest if document == "manifest" else image.config_digest)
    blob.unlink()
    with pytest.raises(SeedbedError, match=rf"^{image.digest}: {blob} is missing; build the image again$"):
        read_image(store, image.digest)


@pytest.mark.parametrize("document", ["manifest", "config"])
@pytest.mark.parametrize("damage", ["another value", "cut short", "empty"])
def test_a_document_that_is_not_what_its_digest_says_is_never_believed(store, document, damage):
    """Control: with another value in it the image went out under another digest, without a word."""
    image = stored(store, compose([layer(store)], CONTAINER, epoch=EPOCH))
    blob = store.blob(image.digest if document == "manifest" else image.config_digest)
    whole = blob.read_bytes()
    blob.write_bytes(
        {"another value": whole.replace(b"sha256:1", b"sha256:2", 1) + b" ", "cut short": whole[:9]}.get(damage, b"")
    )
    with pytest.raises(
        SeedbedError, match=rf"^a {document}: expected sha256 .*, which is now deleted: run the command"
    ):
        read_image(store, image.digest)
    assert not blob.exists()


# Layouts


@pytest.fixture
def layout(tmp_path: Path) -> Store:
    return Store(tmp_path / "image")


def test_every_blob_a_layout_names_is_there_and_has_its_digest_and_size(store, layout):
    image = compose([layer(store, b"one"), layer(store, b"two")], CONTAINER, epoch=EPOCH)
    write_layout(layout.root, store, image)
    [written] = json.loads((layout.root / "index.json").read_bytes())["manifests"]
    manifest = json.loads(layout.blob(written["digest"]).read_bytes())
    assert written["digest"] == image.digest
    assert layout.blob(manifest["config"]["digest"]).read_bytes() == image.config
    for named in [written, manifest["config"], *manifest["layers"]]:
        data = layout.blob(named["digest"]).read_bytes()
        assert (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) == (named["digest"], named["size"])


def test_a_layout_is_the_same_files_each_time(store, tmp_path):
    image = compose([layer(store)], CONTAINER, epoch=EPOCH)
    for name in "ab":
        write_layout(tmp_path / name, store, image)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert {"oci-layout", "index.json"} < files(tmp_path / "a").keys()


def test_a_layout_without_all_its_layers_gets_no_index(store, layout):
    lost = layer(store)
    store.blob(lost.descriptor.digest).unlink()
    with pytest.raises(SeedbedError, match=r"/blobs/sha256/\w+ is missing; build the image again$"):
        write_layout(layout.root, store, compose([lost], CONTAINER, epoch=EPOCH))
    assert not (layout.root / "index.json").exists()


def test_a_blob_of_the_wrong_size_is_refused_and_named(store, layout):
    torn = layer(store)
    store.blob(torn.descriptor.digest).write_bytes(b"lay")
    with pytest.raises(SeedbedError, match=r"expected 5 bytes, found 3 in .*/blobs/sha256/"):
        write_layout(layout.root, store, compose([torn], CONTAINER, epoch=EPOCH))


def test_layers_are_linked_into_a_layout_and_not_copied(store, layout):
    linked = layer(store)
    write_layout(layout.root, store, compose([linked], CONTAINER, epoch=EPOCH))
    assert layout.blob(linked.descriptor.digest).samefile(store.blob(linked.descriptor.digest))


def test_layers_are_copied_if_the_layout_is_on_another_file_system(store, layout, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied = layer(store)
    write_layout(layout.root, store, compose([copied], CONTAINER, epoch=EPOCH))
    assert layout.blob(copied.descriptor.digest).read_bytes() == b"layer"
