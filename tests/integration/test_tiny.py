"""The whole pipeline on a small image: locks, layers, a real engine, smoke tests, a tag."""

import json
import re

import pytest

from builder import paths
from builder.errors import SeedbedError
from builder.image import assemble, build, buildx, dockerfile, record
from builder.image.build import Options
from tests.conftest import TINY
from tests.trees import differences, tree_of

DIFFERENT_BY_NATURE = re.compile(
    r"/__pycache__(/|$)"  # bytecode: ours is compiled file by file
    r"|\.dist-info/(INSTALLER|REQUESTED|RECORD)$"  # notes of the installer
    r"|^/opt/venv/bin/(f2py|numpy-config|pip|pip3|pip3\.11)$"  # launchers: `installer` words them otherwise than uv
)


def test_the_tiny_image_passes_its_smoke_tests_and_has_its_tags(tiny, docker):
    assert [result for result in tiny.smoke if result.outcome == "failed"] == []
    assert all(docker.has(tag) for tag in tiny.tags)


def test_an_image_is_not_tagged_when_it_is_built(load, edit, docker, log):
    edit("tiny/image.yaml", "description: numpy", "description: Just numpy")
    edit("tiny/image.yaml", 'tag: "{numpy}-py{python}"', 'tag: "{numpy}-untested"')
    loaded = load()
    dockerfile.render(loaded, loaded.image("tiny")).write()
    built = build.build(loaded, loaded.image("tiny"), docker, Options(), log)
    assert docker.has(built.digest)
    assert not docker.has("seedbed/tiny:2.4.6-untested")


def test_nothing_changed_is_nothing_done(tiny, docker, load, monkeypatch):
    monkeypatch.setattr(docker.__class__, "build", None)
    loaded = load()
    again = build.build(loaded, loaded.image("tiny"), docker, Options(), lambda message: None)
    assert again == tiny


def test_two_builds_have_one_digest(tiny, docker, load, log):
    loaded = load()
    again = build.build(loaded, loaded.image("tiny"), docker, Options(cached=False), log)
    assert again.digest == tiny.digest
    assert (again.smoke, again.tags) == (tiny.smoke, tiny.tags)


def test_the_layers_are_those_of_the_manifest(tiny, docker):
    listed = [(layer.digest, layer.size) for layer in tiny.layers]
    assert listed == [(layer.digest, layer.size) for layer in docker.layers(tiny.digest)]


def test_a_final_stage_that_adds_a_file_stops_the_build(load, docker, log, monkeypatch):
    loaded = load()
    image = loaded.image("tiny")
    text = image.dockerfile_path.read_text()
    image.dockerfile_path.write_text(text.replace("FROM env AS final\n", "FROM env AS final\nRUN touch /x\n"))
    monkeypatch.setattr(build, "check", lambda catalog, image: None)
    with pytest.raises(SeedbedError, match="stage final added a layer"):
        build.build(loaded, image, docker, Options(cached=False), log)


def test_layers_that_the_engine_has_compressed_otherwise_are_not_taken_for_these(
    tiny, docker, load, log, monkeypatch, tmp_path
):
    """Control: left to itself, BuildKit takes them, so that the digest would depend on what was built here before."""
    loaded = load()
    image = loaded.image("tiny")
    base = assemble.base(loaded.base_of(image), locked=True, log=log)
    monkeypatch.setattr(assemble, "LEVEL", 1)
    made = {"base": base, "env": assemble.env(loaded, image, base)}
    assert buildx.run(loaded, image, docker, made, tmp_path).manifest == tiny.digest
    digests = build.handed_over(loaded, image, docker, made, cached=True)
    found = [layer.digest for layer in docker.layers(digests.manifest)]
    docker.remove(digests.manifest)
    assert found == [layer.descriptor.digest for layer in made["env"].layers]
    assert docker.has(tiny.digest)


def test_the_recipe_gives_the_same_files(tiny, docker, load, log):
    loaded = load()
    recipe = build.build(loaded, loaded.image("tiny"), docker, Options(recipe=True), log)
    ours, theirs = (tree_of(docker, digest, leave_out=DIFFERENT_BY_NATURE) for digest in (tiny.digest, recipe.digest))
    assert len(ours) > 5000
    assert differences(ours, theirs) == []


def test_a_stale_dockerfile_is_not_built(load, edit, docker, log):
    edit("tiny/Dockerfile", "USER 1000:1000", "USER 0:0")
    loaded = load()
    with pytest.raises(SeedbedError, match=r"not as rendered; run ./build.py render tiny"):
        build.build(loaded, loaded.image("tiny"), docker, Options(), log)


def test_an_image_over_its_budget_gets_no_record(load, edit, docker, log):
    edit("tiny/image.yaml", "compressed: 200MB", "compressed: 1MB")
    edit("tiny/image.yaml", "Tiny", "Over budget")
    loaded = load()
    image = loaded.image("tiny")
    dockerfile.render(loaded, image).write()
    with pytest.raises(SeedbedError, match=r"size_budget.compressed: allows 1 MB, the image has \d+ MB"):
        build.build(loaded, image, docker, Options(), log)
    assert record.find(build.inputs_of(loaded, image)) is None


def test_too_little_disk_is_said_before_anything_is_done(load, docker, log, monkeypatch):
    monkeypatch.setattr(build.shutil, "disk_usage", lambda folder: build.shutil._ntuple_diskusage(1, 1, 0))
    loaded = load()
    with pytest.raises(
        SeedbedError, match=r"tiny: needs up to [\d.]+ GB of disk, .* has 0 B free; run ./build.py clean"
    ):
        build.build(loaded, loaded.image("tiny"), docker, Options(cached=False), log)


def test_bake_understands_the_matrix(run, tmp_path):
    listed = run(str(paths.ROOT / "build.py"), "--catalog", str(TINY), "matrix", "--format", "bake")
    (tmp_path / "bake.json").write_text(listed.stdout)
    printed = run("docker", "buildx", "bake", "--file", str(tmp_path / "bake.json"), "--print", cwd=paths.ROOT)
    assert json.loads(printed.stdout)["target"] == json.loads(listed.stdout)["target"], printed.stderr
