"""The final manifest, made of what BuildKit wrote for tiny layers and of the real ones."""

import json

import pytest

from builder.errors import SeedbedError
from builder.image import assemble, manifest
from builder.oci.store import LAYER_TYPE, Descriptor, Layer
from builder.oci.tar import file, write_layer

REAL = [Layer(Descriptor(LAYER_TYPE, f"sha256:{digit * 64}", 10**9), f"sha256:{digit * 63}f", 0, "") for digit in "12"]


@pytest.fixture
def written() -> bytes:
    """What BuildKit wrote, as far as it matters."""
    tiny = {"mediaType": LAYER_TYPE, "digest": "sha256:" + "3" * 64, "size": 99}
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "4" * 64, "size": 9}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [tiny, tiny]}, indent=2).encode()


def test_the_digests_and_sizes_become_the_real_ones_and_nothing_else_changes(written):
    document = json.loads(manifest.with_real_blobs(written, b"the config", REAL))
    assert [(layer["digest"], layer["size"]) for layer in document["layers"]] == [
        ("sha256:" + "1" * 64, 10**9),
        ("sha256:" + "2" * 64, 10**9),
    ]
    assert document["config"] == Descriptor.of(b"the config", document["config"]["mediaType"]).to_json()
    assert list(document) == ["schemaVersion", "config", "layers"]


def test_a_manifest_in_another_form_is_refused(written):
    with pytest.raises(SeedbedError, match="in a form that is not known: push with docker push"):
        manifest.with_real_blobs(json.dumps(json.loads(written)).encode(), b"", REAL)


def test_a_manifest_with_another_number_of_layers_is_refused(written):
    with pytest.raises(ValueError, match="shorter"):
        manifest.with_real_blobs(written, b"", REAL[:1])


def test_no_two_layers_have_the_same_stand_in(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    layers = [write_layer(assemble.store(), [file("a", data)], epoch=0, level=1, what="a") for data in (b"1", b"2")]
    one, two = (manifest.stand_in(layer) for layer in layers)
    assert one.diff_id != two.diff_id and one.descriptor.digest != two.descriptor.digest
    assert manifest.stand_in(layers[0]) == one and one.what == "a"
    assert one.descriptor.size < 500
