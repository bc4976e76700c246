"""What image.yaml may say, and how an error in it reads."""

from datetime import date

import pytest

from builder import catalog, paths
from builder.errors import UsageError

YAML = "tiny/image.yaml"


@pytest.fixture
def complaint(load):
    """The error of loading the catalog: one line of file, line, key and advice."""

    def complaint() -> str:
        with pytest.raises(UsageError) as refused:
            load()
        text = str(refused.value)
        assert "\n" not in text
        return text

    return complaint


def test_the_real_catalog_is_sound():
    images = catalog.load(paths.IMAGES).images
    assert images["pytorch"].full_tag == "2.7.1-cuda12.6-cudnn9-py311"
    assert images["pytorch"].end_of_life.date == date(2026, 4, 23)
    assert images["tensorflow"].full_tag == "2.20.0-cuda12.6-cudnn9-py311"


def test_models_are_frozen(load):
    with pytest.raises(ValueError, match="frozen"):
        load().image("tiny").title = "Other"


def test_adding_an_image_is_adding_a_folder(folder, load):
    (folder / "tiny").rename(folder / "other")
    assert list(load().images) == ["other"]


def test_no_module_of_the_builder_names_an_image():
    for module in (paths.ROOT / "builder").glob("*.py"):
        text = module.read_text().lower()
        assert "pytorch" not in text and "tensorflow" not in text, module


def test_an_unknown_key_is_refused_with_file_line_and_key(edit, complaint):
    edit(YAML, "title: Tiny", "title: Tiny\ncolour: blue")
    assert complaint().endswith("tiny/image.yaml:2: colour: unknown key; remove it or correct its spelling")


def test_an_unquoted_version_is_refused_with_advice(edit, complaint):
    edit(YAML, 'numpy: "2.4.6"', "numpy: 2.4")
    assert "tiny/image.yaml:8: versions.numpy: expected text, found float 2.4; put it in quotes" in complaint()


def test_a_missing_key_is_named(edit, complaint):
    edit(YAML, "title: Tiny\n", "")
    assert complaint().endswith("tiny/image.yaml:1: title: missing; it is required")


def test_a_key_given_twice_is_refused(edit, complaint):
    edit(YAML, "title: Tiny", "title: Tiny\ntitle: Other")
    assert "tiny/image.yaml:2: title: given twice; the first is on line 1" in complaint()


def test_a_typo_of_yaml_names_its_line(edit, complaint):
    edit(YAML, "frameworks: []", "frameworks: [")
    assert "tiny/image.yaml:" in complaint() and "not YAML" in complaint()


@pytest.mark.parametrize("digest", ["sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "g" * 64, "latest"])
def test_a_malformed_digest_is_refused(folder, edit, complaint, digest):
    text = (folder / "base/image.yaml").read_text()
    pinned = next(line for line in text.splitlines() if line.startswith("registry:"))
    edit("base/image.yaml", pinned, f"registry: debian@{digest}")
    assert "registry: expected NAME@sha256: and exactly 64 hex digits" in complaint()


def test_an_unknown_base_is_named_with_those_there_are(edit, complaint):
    edit(YAML, "base: base", "base: rock")
    assert complaint().endswith("tiny/image.yaml:3: base: no base 'rock'; there are: base")


def test_a_python_that_the_base_does_not_ship_is_refused(edit, complaint):
    edit(YAML, 'python: "3.11"', 'python: "3.12"')
    assert "tiny/image.yaml:4: python: expected 3.11, which base ships, found 3.12" in complaint()


def test_a_tag_of_unknown_facts_is_refused(edit, complaint):
    edit(YAML, "{numpy}-py", "{scipy}-py")
    assert "tag: 'scipy' is not among the known names" in complaint()


def test_a_name_that_packages_do_not_have_is_refused(edit, complaint):
    edit(YAML, 'numpy: "2.4.6"', 'NumPy: "2.4.6"')
    assert "expected the normalised name 'numpy'" in complaint()


def test_sharing_layers_with_an_image_that_lacks_them_is_refused(edit, complaint):
    edit(YAML, "layers:\n", "shared:\n  image: tiny\n  layers: [cuda]\n\nlayers:\n")
    assert "tiny/image.yaml:13: shared.image: expected an image that owns its layers, found 'tiny'" in complaint()


def test_an_empty_catalog_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no image here"):
        catalog.load(tmp_path)


def test_an_unknown_image_is_named_with_those_there_are(load):
    with pytest.raises(UsageError, match=r"no image 'tinny'.*there are: tiny"):
        load().image("tinny")
