"""What image.yaml may say, and how an error in it reads."""

import json
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from builder import paths
from builder.catalog import models
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
    images = models.load(paths.IMAGES).images
    assert images["pytorch"].full_tag == "2.7.1-cuda12.6-cudnn9-py311"
    assert images["pytorch"].end_of_life.date == date(2026, 4, 23)
    assert images["pytorch-cuda13"].full_tag == "2.14.1-cuda13.0-cudnn9-py311"
    assert images["tensorflow"].full_tag == "2.20.0-cuda12.6-cudnn9-py311"


@pytest.mark.parametrize(("days", "passed"), [(-1, True), (0, False), (1, False)])
def test_an_image_is_past_its_end_of_life_from_the_day_after(edit, load, days, passed):
    assert load().image("tiny").past_end_of_life is None
    end = datetime.now(UTC).date() + timedelta(days)
    edit(YAML, "title: Tiny", f"end_of_life: {{date: {end}, note: It is over.}}\ntitle: Tiny")
    image = load().image("tiny")
    assert image.past_end_of_life == (image.end_of_life if passed else None)


def test_models_are_frozen(load):
    with pytest.raises(ValueError, match="frozen"):
        load().image("tiny").title = "Other"


def test_adding_an_image_is_adding_a_folder(folder, load):
    (folder / "tiny").rename(folder / "other")
    assert list(load().images) == ["other"]


def test_an_image_is_a_default_image_unless_it_says_otherwise(edit, load, complaint):
    assert load().image("tiny").default
    edit(YAML, "title: Tiny", "default: false\ntitle: Tiny")
    assert not load().image("tiny").default
    edit(YAML, "default: false", "default: 'no'")
    assert "tiny/image.yaml:1: default: " in complaint() and "expected true, or false for an image" in complaint()


@pytest.mark.parametrize("value", ['["90"]', '["9.0+ptx"]', "[9.0]", '["sm_90"]', '["9.0 "]', '"9.0"'])
def test_gpus_are_compute_capabilities(edit, complaint, value):
    edit(YAML, "title: Tiny", f"gpus: {value}\ntitle: Tiny")
    assert re.search(r"tiny/image.yaml:1: gpus(\.0)?: .*; expected compute capabilities, such as", complaint())


def test_no_module_of_the_builder_names_an_image():
    for module in (paths.ROOT / "builder").rglob("*.py"):
        text = re.sub(r'example="[^"]*"|#.*', "", module.read_text().lower())
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


def test_a_missing_example_says_what_it_must_do(edit, complaint):
    edit(YAML, "example: digits_numpy.py\n", "")
    assert "tiny/image.yaml:1: example: missing; it is required; expected the name of a script in" in complaint()
    assert "prints `parameters sha256: <64 hex digits>` (CONTRIBUTING.md, Add an image)" in complaint()


def test_an_example_that_does_not_exist_is_named(edit, complaint):
    edit(YAML, "example: digits_numpy.py", "example: digits_fortran.py")
    assert "tiny/image.yaml:18: example: no file examples/digits_fortran.py; expected the name" in complaint()


def test_a_quick_program_that_does_not_exist_is_named(edit, complaint):
    edit(YAML, "example: digits_numpy.py", "example: digits_numpy.py\nquick: [pool.py]")
    assert "tiny/image.yaml:19: quick.0: no program 'pool.py'; there are: none" in complaint()


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


def test_contributing_shows_the_files_of_its_example_as_they_are():
    page = (models.paths.ROOT / "CONTRIBUTING.md").read_text()
    for name in ("image.yaml", "requirements.in"):
        assert f"\n{(models.paths.IMAGES / 'jax' / name).read_text()}```\n" in page


def test_a_python_that_the_base_does_not_ship_is_refused(edit, complaint):
    edit(YAML, 'python: "3.11"', 'python: "3.12"')
    assert "tiny/image.yaml:4: python: expected 3.11, which base ships, found 3.12" in complaint()


def test_a_tag_of_unknown_facts_is_refused(edit, complaint):
    edit(YAML, "{numpy}-py", "{scipy}-py")
    assert "tag: 'scipy' is not among the known names" in complaint()


def test_a_name_that_packages_do_not_have_is_refused(edit, complaint):
    edit(YAML, 'numpy: "2.4.6"', 'NumPy: "2.4.6"')
    assert "expected a normalised name, such as 'numpy'" in complaint()


def test_an_empty_catalog_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no image here"):
        models.load(tmp_path)


def test_an_unknown_image_is_named_with_those_there_are(load):
    with pytest.raises(UsageError, match=r"no image 'tinny'.*there are: tiny"):
        load().image("tinny")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "expected a mapping of keys to values"),
        ("- a", 1, "expected a mapping of keys to values"),
        ("title: a\ntitle: b", 2, "title: given twice; the first is on line 1"),
        ("title: a\x00", 1, r"not YAML: the character '\x00'"),
        ("x: 1\ntitle: a\x1b", 2, r"not YAML: the character '\x1b'"),
        ("x: 1\n\ttitle: a", 2, "not YAML: found character '\\t' that cannot start any token"),
        ("x: &a 1\ny: *a", 1, "not YAML: anchors and aliases are not read here; write the value out"),
        ("x: &a [*a]", 1, "not YAML: anchors and aliases are not read here; write the value out"),
        ("\nx: !!python/object:os.system ls", 2, "is not read here; write the value alone"),
        ("x: !!timestamp yesterday", 1, "is not read here; write the value alone"),
        ("x: 2026-13-45", 1, "not YAML: month must be in 1..12"),
        ("x: 0b_", 1, "not YAML: invalid literal for int"),
        (f"x: {'9' * 5000}", 1, "not YAML: Exceeds the limit"),
        (f"x: {'[' * 5000}", 1, "nested too deeply"),
        ("? [a]\n: b", 1, "not YAML: found unhashable key"),
        ("? {a: b}\n: b", 1, "not YAML: found unhashable key"),
        ("x: =", 1, "not YAML: could not determine a constructor"),
        ("x: 'a", 1, "not YAML: found unexpected end of stream"),
        ("--- \nx: 1\n---\ny: 2", 3, "not YAML: but found another document"),
        ("title: 1.0e+999", 1, "title: expected text, found float inf; put it in quotes"),
        (f"title: {['x' * 1000] * 1000}", 1, "xxxxx…; put it in quotes"),
        ("? \n: 1", 1, ""),
    ],
)
def test_odd_yaml_is_one_line_with_its_place(folder, complaint, text, line, problem):
    (folder / YAML).write_text(text)
    assert f"tiny/image.yaml:{line}: " in complaint() and problem in complaint()
    assert len(complaint()) < 400


def test_a_file_with_a_byte_order_mark_is_read(folder, load):
    (folder / YAML).write_text(f"\ufeff{(folder / YAML).read_text()}")
    assert load().image("tiny").title == "Tiny"


TEXTS = {
    "title: Tiny": "title: {}",
    "description: numpy": "description: {}\nlabels: {{}} #",
    "licenses: BSD-3-Clause": "licenses: {}",
    "title: Tiny\n": "title: Tiny\nenvironment:\n  A: {}\n",
    "title: Tiny\nd": "title: Tiny\nlabels:\n  a: {}\nd",
    "layers:\n  - name: numpy\n": "layers:\n  - name: numpy\n    split: [{}]\n",
}


@pytest.mark.parametrize("before", TEXTS)
@pytest.mark.parametrize("text", ["a\nRUN b", "a\rRUN b", "a\x1b[2J", "a\u2028b", "a\u202eb", "\x85"])
def test_no_text_makes_a_line_of_its_own_or_acts_on_a_terminal(edit, complaint, before, text):
    edit(YAML, before, TEXTS[before].format(json.dumps(text)))
    assert "expected one line without control characters" in complaint()


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ('python: "3.11"', 'python: "3.11 && b"', "python"),
        ('python: "3.11"', 'python: "3.99999999999999999999"', "python"),
        ('python: "3.11"', 'python: "3.\u00b2"', "python"),
        ('numpy: "2.4.6"', 'numpy: "2.\u00b2"', "versions.numpy"),
        ('numpy: "2.4.6"', '"a b": "2.4.6"', "versions"),
        ('"{numpy}-py', '"{numpy.__class__}-py', "tag"),
        ('"{numpy}-py', '"{numpy:>999999999}-py', "tag"),
        ('"{numpy}-py', '"{numpy!r}-py', "tag"),
        ('"{numpy}-py', '"{99999999999999999999}-py', "tag"),
        ('"{numpy}-py', '"a b-py', "tag"),
        ('"{numpy}-py', f'"{"a" * 115}-py', "tag"),
        ('"{numpy}-py', '"-', "tag"),
        ("title: Tiny", "title: Tiny\nenvironment: {'A B': c}", "environment.A B"),
        ("title: Tiny", "title: Tiny\nenvironment: {'A=1 B': c}", "environment.A=1 B"),
        ("title: Tiny", "title: Tiny\nenvironment: {A: 1}", "environment.A"),
        ("title: Tiny", "title: Tiny\nlabels: {'a b': c}", "labels.a b"),
        ("title: Tiny", "title: Tiny\nlabels: {'$a': c}", "labels.$a"),
        ("title: Tiny", "title: Tiny\nlabels: {io.seedbed.lock: c}", "labels"),
        ("- name: numpy\n", "- name: numpy\n    remove_commands: [a; curl b]\n", "layers.0.remove_commands.0"),
        ("- name: numpy\n", "- name: numpy\n    remove_commands: [../../bin/sh]\n", "layers.0.remove_commands.0"),
        ("- name: numpy\n", "- name: $(b)\n", "layers.0.name"),
        ("example: digits_numpy.py", "example: ../../x.py", "example"),
        ("example: digits_numpy.py", "example: /etc/passwd", "example"),
        ("compressed: 200MB", "compressed: -1", "size_budget.compressed"),
        ("compressed: 200MB", "compressed: .inf", "size_budget.compressed"),
        ("compressed: 200MB", "compressed: .nan", "size_budget.compressed"),
        ("compressed: 200MB", "compressed: 1e999MB", "size_budget.compressed"),
        ("compressed: 200MB", "compressed: 2026-01-01", "size_budget.compressed"),
    ],
)
def test_a_value_that_could_be_more_than_a_value_is_refused_with_its_key(edit, complaint, before, after, key):
    edit(YAML, before, after)
    assert re.search(rf"tiny/image.yaml:\d+: {re.escape(key)}(\.\[key\])?: ", complaint())


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("registry: debian:bookworm-slim@", "registry: debian:$X@", "registry"),
        ("registry: debian:bookworm-slim@", "registry: '--platform=x@", "registry"),
        ("- less ", "- less=1;b ", "packages.4"),
        ("- less ", "- --allow-unauthenticated ", "packages.4"),
        ("epoch: 2025-01-01", "epoch: 1969-12-31", "epoch"),
        ("epoch: 2025-01-01", "epoch: 9999-12-31", "epoch"),
        ("epoch: 2025-01-01", f"epoch: 1{':00' * 200}.0", "epoch"),
        ("suite: bookworm", "suite: ../x", "suite"),
    ],
)
def test_of_a_base_too(edit, complaint, before, after, key):
    edit("base/image.yaml", before, after)
    assert re.search(rf"base/image.yaml:\d+: ({key}: |not YAML)", complaint())


@pytest.mark.parametrize("name", ["a b", "$(b)", "a\nRUN b", "²", "Tiny", "-x"])
def test_the_name_of_a_folder_is_refused_like_any_other(folder, complaint, name):
    (folder / "tiny").rename(folder / name)
    assert "expected a name of small letters, digits and '-'" in complaint()
