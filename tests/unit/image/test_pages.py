"""Pages about images say what the catalog says, and what is committed is what renders."""

import shutil
from pathlib import Path

import pytest

from builder import paths
from builder.cli import make
from builder.errors import SeedbedError, UsageError
from builder.image import digest, pages, rendered
from builder.image.recipe import Recipe, resolve_all
from tests import commands
from tests.unit.image.test_digest import built

BEGIN, END = "<!-- table: images -->\n", "<!-- end -->\n"
CUDA = 'cuda: "12.6"\ncudnn: "9.5"\ngpus: ["8.0", "9.0"]\ntag:'


def page(recipe: Recipe) -> str:
    return pages.page(recipe, [recipe])


def row_of(text: str, name: str) -> str:
    """The second column of a page's row."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return line.split(" | ")[1].removesuffix(" |")


def test_what_is_committed_is_what_renders():
    texts = pages.texts(paths.IMAGES)
    assert {path.name for path in texts} == {
        "README.md",
        "programs.md",
        *(f"{image.name}.md" for image in resolve_all(paths.IMAGES, ())),
    }
    for path, text in texts.items():
        assert rendered.difference(path, text) == ""


def test_another_catalog_has_no_pages(folder):
    assert pages.texts(folder) == {}


# A page


def test_a_page_names_tag_versions_and_end_of_life(resolve, edit):
    edit("tiny/image.yaml", "tag:", "end_of_life: {date: 2026-04-23, note: It is over.}\ntag:")
    text = page(resolve())
    assert row_of(text, "tag") == "`seedbed/tiny:2.4.6-py311`"
    assert row_of(text, "contains") == "numpy 2.4.6, Python 3.11, Debian bookworm"
    assert "**End of life: 2026-04-23.** It is over." in text
    assert "FROM seedbed/tiny:2.4.6-py311\n" in text


def test_it_does_not_depend_on_whose_registry_it_is(resolve, monkeypatch):
    before = page(resolve())
    monkeypatch.setenv("SEEDBED_REPOSITORY", "registry.example.org/team")
    assert page(resolve()) == before


def test_an_image_without_cuda_names_no_gpu_and_no_driver(resolve):
    text = page(resolve())
    assert "driver" not in text and "GPU" not in text and "--gpus" not in text


def test_one_with_cuda_names_gpus_and_driver(resolve, edit):
    edit("tiny/image.yaml", "tag:", CUDA)
    text = page(resolve())
    assert row_of(text, "GPUs") == "compute capability 8.0, 9.0"
    assert row_of(text, "driver") == "525 or newer"
    assert "docker run --rm --gpus all" in text
    assert "It has no PTX" in text
    edit("tiny/image.yaml", '"9.0"', '"9.0+PTX"')
    assert "`+PTX`: on newer GPUs the driver compiles" in page(resolve()) and "no PTX" not in page(resolve())


def test_a_cuda_whose_driver_nobody_wrote_down_is_one_line(resolve, edit):
    edit("tiny/image.yaml", "tag:", CUDA.replace("12.6", "99.1"))
    with pytest.raises(
        UsageError, match=r"tiny/image\.yaml:9: cuda: no driver is known for CUDA 99; add it to DRIVERS"
    ):
        page(resolve())


def test_sizes_are_those_beside_the_digest_of_record(resolve):
    recipe = resolve()
    digest.path_of(recipe).unlink(missing_ok=True)
    assert row_of(page(recipe), "to pull") == row_of(page(recipe), "unpacked") == "not recorded yet"
    digest.write(recipe, built(recipe).model_copy(update={"unpacked": 5_996_646_912}))
    assert (row_of(page(recipe), "to pull"), row_of(page(recipe), "unpacked")) == ("1 B", "6.0 GB")


@pytest.fixture
def two(folder, edit) -> Path:
    """The tests' catalog with a second image, `older`, which is no default image."""
    shutil.copytree(folder / "tiny", folder / "older")
    edit("older/image.yaml", "title: Tiny", "default: false\ntitle: Older")
    return folder


def shared(root: Path) -> dict[str, str]:
    tiny, older = resolve_all(root, ["tiny"])[0], resolve_all(root, ["older"])[0]
    return {layer.name: layer.shared_with for layer in pages.layers(tiny, [tiny, older])}


def test_a_layer_of_the_same_wheels_and_files_is_named_as_shared(two, edit):
    assert shared(two) == {"numpy": "older", "python": "older"}
    edit("older/image.yaml", "packages: [numpy]", "packages: [numpy]\n    split: [numpy/random/*]")
    assert shared(two) == {"numpy": "", "python": "older"}


# README.md and files


def test_the_table_alone_is_made_anew(tmp_path):
    (tmp_path / "page.md").write_text(f"# Before\n{BEGIN}| old |\n{END}after\n")
    assert pages.with_table(tmp_path / "page.md", "images", "| new |\n") == f"# Before\n{BEGIN}| new |\n{END}after\n"


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_a_place_for_the_table_is_one_line(text, tmp_path):
    (tmp_path / "page.md").write_text(text)
    with pytest.raises(SeedbedError, match=r"page\.md: expected the lines <!-- table: images --> and <!-- end --> "):
        pages.with_table(tmp_path / "page.md", "images", "")


def test_the_table_of_images_says_which_make_images_does_not_build(two):
    table = pages.table_of_images(resolve_all(two, ()))
    assert "[`seedbed/older:2.4.6-py311`](docs/images/older.md) \\* |" in table
    assert "(docs/images/tiny.md) |" in table and "\n\\* `make images` does not build it" in table
    assert "\\*" not in pages.table_of_images(resolve_all(two, ["tiny"]))


def test_the_table_of_programs_has_a_row_for_each(two):
    (two / "tiny" / "programs").mkdir()
    (two / "tiny" / "programs" / "train.py").write_text('"""A training."""\n')
    assert pages.table_of_programs(resolve_all(two, ())).splitlines()[2:] == ["| tiny | A training |"]


@pytest.fixture
def repository(two, monkeypatch) -> Path:
    """A repository whose own catalog has `tiny` and `older`."""
    root = two.parent
    (root / "README.md").write_text(f"# Read me\n{BEGIN}{END}")
    (root / "docs").mkdir()
    (root / "docs/programs.md").write_text(f"{BEGIN.replace('images', 'programs')}{END}")
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(paths, "IMAGES", two)
    monkeypatch.chdir(root)
    return root


def test_render_writes_pages_and_table_and_check_guards_them(repository, edit, capsys):
    assert commands.run(make.render, repository / "images") == (0, "")
    assert sorted(path.name for path in (repository / "docs/images").iterdir()) == ["older.md", "tiny.md"]
    assert commands.run(make.render, repository / "images", "--check") == (0, "")
    page = repository / "docs/images/tiny.md"
    page.write_text(page.read_text().replace("numpy 2.4.6", "numpy 9"))
    status, complaint = commands.run(make.render, repository / "images", "--check")
    assert (status, complaint) == (1, "docs/images/tiny.md: out of date, see above; run ./build.py render")
    assert "-| contains | numpy 9, " in capsys.readouterr().out


def test_the_page_of_an_image_that_is_gone_goes_too(repository):
    commands.run(make.render, repository / "images")
    shutil.rmtree(repository / "images/older")
    status, complaint = commands.run(make.render, repository / "images", "--check")
    assert status == 1 and complaint.startswith("docs/images/older.md, docs/images/tiny.md, README.md: out of date")
    commands.run(make.render, repository / "images")
    assert [path.name for path in (repository / "docs/images").iterdir()] == ["tiny.md"]
    assert "older" not in (repository / "README.md").read_text()
