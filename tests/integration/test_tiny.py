"""The tiny image from its locks to layers, config and manifest; no engine has a part in it."""

import json

import pytest

from builder.errors import SeedbedError
from builder.image import build, contents, digest, dockerfile, record
from builder.image.build import Options
from builder.oci.layout import read_image
from builder.oci.store import Store
from tests.integration.conftest import no_engine


def test_nothing_changed_is_nothing_done(cache, recipe, built, monkeypatch):
    monkeypatch.setattr(build, "of_recipe", None)
    again = build.build(recipe, Options(), no_engine)
    assert again == built.model_copy(update={"smoke": (), "tags": ()})


def test_two_builds_have_one_digest_and_what_was_tested_stays_tested(cache, recipe, tested):
    again = build.build(recipe, Options(cached=False), no_engine)
    assert again.digest == tested.digest
    assert (again.smoke, again.tags) == (tested.smoke, tested.tags)


def test_a_changed_image_has_another_digest_and_is_not_tested(cache, edit, resolve, tested):
    """Control: what `description` says is all that changes."""
    edit("tiny/image.yaml", "description: numpy", "description: Just numpy")
    changed = resolve()
    changed.image.dockerfile_path.write_text(dockerfile.render(changed))
    built = build.build(changed, Options(), no_engine)
    assert built.digest != tested.digest
    assert (built.smoke, built.tags) == ((), ())
    assert [layer.digest for layer in built.layers] == [layer.digest for layer in tested.layers]


def test_a_blob_that_is_gone_is_made_again(cache, recipe, built):
    for missing in (built.digest, built.layers[1].digest):
        Store(cache).blob(missing).unlink()
        assert build.build(recipe, Options(), no_engine).digest == built.digest
        assert Store(cache).blob(missing).exists()


def test_the_record_is_what_manifest_and_config_say(cache, recipe, built):
    image = read_image(Store(cache), built.digest)
    manifest, config = json.loads(image.manifest), json.loads(image.config)
    assert [(layer["digest"], layer["size"]) for layer in manifest["layers"]] == [
        (layer.digest, layer.size) for layer in built.layers
    ]
    assert manifest["config"]["digest"] == built.config
    assert config["config"] == contents.container(recipe)


def test_a_stale_dockerfile_is_not_built(edit, resolve):
    edit("tiny/Dockerfile", "USER 1000:1000", "USER 0:0")
    with pytest.raises(SeedbedError, match=r"out of date; run ./build.py render tiny"):
        build.build(resolve(), Options(), no_engine)


def test_an_image_over_its_budget_gets_no_record(cache, edit, resolve):
    edit("tiny/image.yaml", "compressed: 200MB", "compressed: 1MB")
    edit("tiny/image.yaml", "Tiny", "Over budget")
    changed = resolve()
    changed.image.dockerfile_path.write_text(dockerfile.render(changed))
    with pytest.raises(SeedbedError, match=r"size_budget.compressed: allows 1 MB, the image has \d+ MB"):
        build.build(changed, Options(), no_engine)
    assert record.find(build.inputs_of(changed)) is None


def test_too_little_disk_is_said_before_anything_is_done(recipe, monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    monkeypatch.setattr(build.shutil, "disk_usage", lambda folder: build.shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(SeedbedError, match=r"^tiny: needs up to 400 MB of disk, .* has 0 B free; run ./build.py clean"):
        build.build(recipe, Options(cached=False), no_engine)


def test_a_digest_of_record_is_compared_with_what_is_built(cache, resolve, built):
    copied = resolve()
    digest.write(copied, built)
    assert digest.complaint(copied, built, expected=True) is None
    other = built.model_copy(update={"digest": f"sha256:{'0' * 64}"})
    assert "built was sha256:0000" in (digest.complaint(copied, other, expected=True) or "")
