"""Rendering is pure, checked against what is committed, and strict about names."""

import json
import re

import jinja2
import pytest

from builder import paths
from builder.image import contents, dockerfile, rendered
from builder.image.recipe import Recipe, resolve_all
from builder.image.rendered import quoted


@pytest.mark.parametrize("root", [paths.IMAGES, paths.ROOT / "tests" / "images"])
def test_what_is_committed_is_what_renders(root):
    for recipe in resolve_all(root, ()):
        assert difference(recipe) == ""


def difference(recipe: Recipe) -> str:
    return rendered.difference(recipe.image.dockerfile_path, dockerfile.render(recipe))


def test_every_file_of_the_runtimes_package_is_installed(load):
    loaded = load()
    installed = {file.source for file in contents.runtime_files(loaded.image("tiny"))}
    found = [path for path in (paths.RUNTIME / "seedbed").rglob("*") if path.is_file()]
    package = (path for path in found if path.parent.name != "__pycache__")
    assert {path.relative_to(paths.RUNTIME).as_posix() for path in package} <= installed


def test_a_changed_input_shows_as_a_diff(edit, resolve):
    edit("tiny/image.yaml", "title: Tiny", "title: Teeny")
    diff = difference(resolve())
    assert "-# Tiny 2.4.6-py311" in diff and "+# Teeny 2.4.6-py311" in diff


def test_writing_makes_the_diff_empty_and_happens_once(edit, resolve):
    edit("tiny/image.yaml", "title: Tiny", "title: Teeny")
    recipe = resolve()
    path, text = recipe.image.dockerfile_path, dockerfile.render(recipe)
    assert rendered.write(path, text) and not rendered.write(path, text)
    assert difference(recipe) == ""


def test_a_template_that_names_an_unknown_fact_fails(monkeypatch, tmp_path, resolve):
    (tmp_path / "Dockerfile.j2").write_text("{{ image.titel }}")
    monkeypatch.setattr(paths, "TEMPLATES", tmp_path)
    with pytest.raises(jinja2.UndefinedError, match="titel"):
        dockerfile.render(resolve())


def test_every_locked_wheel_stands_in_the_recipe_with_its_hash(resolve):
    recipe = resolve()
    text = dockerfile.render(recipe)
    assert recipe.wheels.wheels and all(str(wheel) in text for wheel in recipe.wheels.wheels)


def test_the_final_stage_only_sets_metadata(resolve):
    text = dockerfile.render(resolve())
    _, _, final = text.partition("FROM env AS final\n")
    words = {line.split()[0] for line in final.splitlines()}
    assert words <= {"ENV", "LABEL", "USER", "ENTRYPOINT", "CMD"}


def test_the_recipe_takes_nothing_from_outside_that_could_change_the_image(resolve):
    """A frontend by tag is whatever that tag means today; the value of an ARG ends up in the history."""
    text = dockerfile.render(resolve())
    assert not re.search(r"^# *(syntax|escape|check) *=|^(ARG|ADD) ", text, re.MULTILINE | re.IGNORECASE)
    origins = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert [origin for origin in origins if "@sha256:" not in origin] == ["base", "base", "env"]


def test_certifis_list_is_debians_where_certifi_is_locked():
    """The recipe and the assembled layer read the same links."""
    recipes = {recipe.name: recipe for recipe in resolve_all(paths.IMAGES, ())}
    links = {name: contents.certificate_links(recipe) for name, recipe in recipes.items()}
    path = "/opt/venv/lib/python3.11/site-packages/certifi/cacert.pem"
    assert links == {
        name: {path: contents.CERTIFICATES} if recipe.holds("certifi") else {} for name, recipe in recipes.items()
    }
    assert links["tensorflow"] and not links["pytorch"]
    text = dockerfile.render(recipes["tensorflow"])
    assert f" && ln -sf {contents.CERTIFICATES} {path} " in text


def test_values_are_quoted_so_that_docker_reads_them_back():
    assert quoted('a "b" $c \\d') == '"a \\"b\\" \\$c \\\\d"'


@pytest.mark.parametrize(
    "value",
    [
        "$HOME ${A:-b} $(c)",
        "`b`",
        "# b",
        'a" b="c',
        "a \\",
        "\\",
        "TEXT",
        "<<TEXT",
        "{{ 7 * 6 }} {% raw %}",
        "'",
        "; b && c",
    ],
)
def test_what_a_value_says_is_never_an_instruction(folder, resolve, value):
    """Docker reads the value back, and the file has the very lines that it has with any other value."""
    plain = folder / "tiny" / "image.yaml"
    text = plain.read_text()

    def with_value(value: str) -> list[str]:
        said = json.dumps(value)
        texts = f"environment: {{A: {said}}}\nlabels: {{a: {said}}}\n"
        plain.write_text(text.replace("title: Tiny\n", f"title: {said}\n{texts}"))
        return dockerfile.render(resolve()).splitlines()

    def instructions(lines: list[str]) -> list[str]:
        return [re.split(r"[ =]", line)[0] for line in lines if re.match("[A-Z]+ ", line)]

    lines, plain_lines = with_value(value), with_value("plain")
    assert len(lines) == len(plain_lines) and instructions(lines) == instructions(plain_lines)
    assert f"ENV A={quoted(value)}" in lines and f"LABEL a={quoted(value)}" in lines


def test_no_title_is_an_order_to_the_parser(edit, resolve):
    """BuildKit takes `# syntax=...` in the first lines of a file as one, and fetches what it names."""
    edit("tiny/image.yaml", "title: Tiny", "title: syntax=docker/dockerfile:evil")
    first, *_ = dockerfile.render(resolve()).splitlines()
    assert first.startswith("# Rendered by ./build.py")
