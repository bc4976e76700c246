"""The SBOM of the tiny image: complete, true, valid, and the same bytes in every run."""

import json
import os
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from builder import paths
from builder.errors import SeedbedError
from builder.image import assemble, contents, record
from builder.layers import wheels
from builder.oci.layout import OciImage, compose, read_image
from builder.oci.registry import Repository
from builder.oci.store import Store
from builder.oci.tar import file, write_layer
from builder.publish import bill, dpkg, sbom
from builder.publish import push as publish
from builder.publish.bill import Bill, Component
from builder.publish.sbom import FORMATS
from tests.conftest import TINY
from tests.owners import SEEDBED, owners_of


@pytest.fixture(scope="module")
def image(built) -> OciImage:
    return read_image(assemble.store(), built.digest)


@pytest.fixture(scope="module")
def described(recipe, image) -> Bill:
    return bill.of(recipe, image)


def names(components: tuple[Component, ...], *kinds: str) -> set[tuple[str, str]]:
    return {(each.kind, each.name) for each in components if each.kind in kinds}


# Complete


def test_every_file_of_the_image_belongs_to_a_component_and_every_component_has_files(image, described):
    owners = owners_of(image, assemble.store())
    assert [path for path, owner in owners.items() if owner is None] == []
    assert set(owners.values()) == names(described.components, "deb", "pypi", "own")


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/planted",
        "etc/planted",
        "opt/venv/bin/planted",
        "opt/venv/lib/python3.11/site-packages/numpy/planted.py",
        "opt/venv/lib/python3.11/site-packages/numpy/__pycache__/planted.cpython-311.pyc",
    ],
)
def test_a_file_that_nobody_brought_has_no_owner(image, tmp_path, path):
    """Control."""
    store = Store(tmp_path)
    (tmp_path / "blobs").mkdir()
    for layer in image.layers:
        link = store.blob(layer.descriptor.digest)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(assemble.store().blob(layer.descriptor.digest))
    planted = write_layer(store, [file(path, b"planted")], epoch=0, level=1, what="planted")
    owners = owners_of(compose([*image.layers, planted], {}, epoch=0), store)
    assert [path for path, owner in owners.items() if owner is None] == [path]


def test_its_debian_packages_are_those_of_the_lock_with_their_hashes(recipe, described):
    locked = {(each.name, each.version, each.sha256) for each in recipe.packages.packages}
    assert {(each.name, each.version, each.sha256) for each in described.components if each.kind == "deb"} == locked
    assert all(each.source for each in described.components if each.kind == "deb")


def test_its_wheels_are_those_of_the_lock_and_the_distributions_in_the_layers(recipe, image, described):
    locked = {(pin.name, pin.version, pin.sha256) for pin in recipe.wheels.wheels}
    assert {(each.name, each.version, each.sha256) for each in described.components if each.kind == "pypi"} == locked
    texts = [text for layer in image.layers[1:] for text in bill.texts_in(layer.descriptor.digest)]
    installed = [HeaderParser().parsestr(text) for text in texts]
    assert {(canonicalize_name(each["Name"]), each["Version"]) for each in installed} == {each[:2] for each in locked}


def test_without_the_cached_wheels_it_is_read_in_the_layers_and_is_the_same(recipe, image, described, monkeypatch):
    monkeypatch.setattr(wheels, "find", lambda pin: None)
    assert bill.of(recipe, image) == described


def test_seedbeds_own_files_are_a_component_with_the_runtimes_version(described):
    [own] = [each for each in described.components if each.kind == "own"]
    assert (own.kind, own.name) == SEEDBED and own.version == contents.RUNTIME_VERSION


def test_most_of_debian_states_its_licences(described):
    debian = [each for each in described.components if each.kind == "deb"]
    assert sum(bool(each.licence.expression) for each in debian) > len(debian) / 2


def test_substituted_packages_have_no_hash_of_the_lock_and_the_image_says_so(recipe, image, monkeypatch):
    read = dpkg.read
    other = {"Package": "tini", "Version": "99", "Architecture": "amd64"}

    def substituted(layer: str) -> dpkg.Base:
        base = read(layer)
        kept = tuple(each for each in base.packages if each.name != "tini")
        return dpkg.Base(base.release, (*kept, dpkg.package_of(other, {})))

    monkeypatch.setattr(dpkg, "read", substituted)
    moved = compose(image.layers, contents.container(recipe, ("tini: 0.19.0-1 -> 99",)), epoch=recipe.epoch)
    described = bill.of(recipe, moved)
    [tini] = [each for each in described.components if each.name == "tini"]
    assert (tini.version, tini.sha256) == ("99", "")
    assert all("tini: 0.19.0-1 -> 99" in sbom.render(described, form).decode() for form in FORMATS)


# Valid, in both formats


def test_it_is_valid_cyclonedx(described):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator  # a second, in each process that collects tests

    document = sbom.render(described, "cyclonedx").decode()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(document) is None
    assert validator.validate_str(document.replace('"bomFormat"', '"bomForm"'))  # control


def test_it_is_valid_spdx(described, tmp_path):
    path = tmp_path / "tiny.spdx.json"
    path.write_bytes(sbom.render(described, "spdx"))
    document = parse_file(str(path))
    assert validate_full_spdx_document(document) == []
    document.packages[0].spdx_id = "image"  # control
    assert validate_full_spdx_document(document)


def test_its_purls_are_of_the_category_that_spdxs_own_schema_has(described):
    """The library writes PACKAGE_MANAGER, and finds nothing wrong with it."""
    packages = json.loads(sbom.render(described, "spdx"))["packages"]
    assert {each["externalRefs"][0]["referenceCategory"] for each in packages} == {"PACKAGE-MANAGER"}


def test_both_say_that_the_image_contains_all(described, built):
    cyclonedx = json.loads(sbom.render(described, "cyclonedx"))
    spdx = json.loads(sbom.render(described, "spdx"))
    assert cyclonedx["metadata"]["component"]["hashes"][0]["content"] in built.digest
    held = {each["ref"]: each.get("dependsOn") for each in cyclonedx["dependencies"]}
    assert set(held[cyclonedx["metadata"]["component"]["bom-ref"]]) == {each.purl for each in described.components}
    related = [each for each in spdx["relationships"] if each["relationshipType"] == "CONTAINS"]
    assert len(related) == len(described.components) == len(spdx["packages"]) - 1


# The same in every run


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS)
def test_two_runs_on_different_machines_write_the_same_bytes(form, built, tmp_path):
    written = []
    for number, (zone, seed, mask) in enumerate([("UTC", "1", 0o022), ("Asia/Tokyo", "2", 0o077)]):
        output = tmp_path / str(number)
        command = [sys.executable, "build.py", "--catalog", str(TINY), "sbom", "tiny", "--format", form]
        environment = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C", "SEEDBED_ENGINE": "none"}
        options = {"cwd": paths.ROOT, "env": environment, "umask": mask, "check": True, "capture_output": True}
        subprocess.run([*command, "--output", str(output)], **options)
        printed = subprocess.run(command, **options).stdout
        assert printed == output.read_bytes()
        written.append(printed)
    assert written[0] == written[1]


def test_it_is_dated_by_the_lock(described, recipe):
    cyclonedx = json.loads(sbom.render(described, "cyclonedx"))
    spdx = json.loads(sbom.render(described, "spdx"))
    assert cyclonedx["metadata"]["timestamp"] == "2025-01-01T00:00:00+00:00"
    assert spdx["creationInfo"]["created"] == "2025-01-01T00:00:00Z"
    assert cyclonedx["serialNumber"] == spdx["documentNamespace"] == f"urn:uuid:{described.uuid}"


def test_a_push_attaches_both_to_the_image(cache, recipe, tested, repository, described):
    publish.push(recipe, None)
    pushed = Repository.of(repository)
    for name, form in FORMATS.items():
        [attached] = pushed.referrers(tested.digest, form.media_type)
        manifest = json.loads(pushed.manifest(attached))
        [layer] = manifest["layers"]
        assert manifest["subject"]["digest"] == tested.digest
        assert layer["annotations"]["org.opencontainers.image.title"] == f"tiny{form.ending}"
        assert pushed.read_blob(layer["digest"], layer["size"]) == sbom.render(described, name)


def test_an_image_that_is_not_built_has_none(cache: Path, recipe):
    for path in record.folder().glob("*.json"):
        path.unlink()
    with pytest.raises(SeedbedError, match=r"^tiny: not built; run ./build.py build tiny"):
        sbom.of_recipe(recipe, "spdx")
