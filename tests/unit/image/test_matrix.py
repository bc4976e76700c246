"""The catalog as a job matrix for CI, and as a file for bake."""

from pathlib import Path

from builder import network, paths
from builder.catalog import models
from builder.image import matrix

REAL = models.load(paths.IMAGES)


def test_the_job_matrix_has_a_job_for_each_image() -> None:
    assert [job["image"] for job in matrix.jobs(REAL)["include"]] == [image.name for image in REAL.select(())]


def test_every_target_of_bake_names_a_dockerfile_that_is_there() -> None:
    targets = matrix.bake(REAL)["target"]
    assert list(targets) == [image.name for image in REAL.select(())]
    for target in targets.values():
        text = (paths.ROOT / target["dockerfile"]).read_text()
        assert f" AS {target['target']}\n" in text


def test_bake_gets_the_hosts_certificate_authorities_where_it_has_any(monkeypatch) -> None:
    monkeypatch.setattr(network, "ca_bundle", lambda: None)
    assert all(target["secret"] == [] for target in matrix.bake(REAL)["target"].values())
    monkeypatch.setattr(network, "ca_bundle", lambda: "/ca.pem")
    assert all(target["secret"] == ["id=ca-bundle,src=/ca.pem"] for target in matrix.bake(REAL)["target"].values())


def test_bake_gives_no_tags_since_nothing_was_tested() -> None:
    assert not any("tags" in target for target in matrix.bake(REAL)["target"].values())


def test_a_catalog_may_be_anywhere_for_bake(load, monkeypatch) -> None:
    """Also where a relative path leads to, as with `--catalog tests/images`."""
    monkeypatch.chdir(paths.ROOT / "tests")
    for loaded in (load(), models.load(Path("images"))):
        target = matrix.bake(loaded)["target"]["tiny"]
        assert (paths.ROOT / target["dockerfile"]).is_file()
