"""Which images a command takes if none is named: the default ones where work is done, all where facts are shown."""

import json
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from builder.cli import make, prove, show
from builder.cli.workplace import EndedThere, There
from builder.image.recipe import Recipe
from tests import commands

WORKING = {"build": make.build_, "smoke": prove.smoke_, "verify": prove.verify_, "push": prove.push_}


class Begun(Exception):
    """The images that a command was about to work on."""


@pytest.fixture
def catalog(folder, edit) -> Path:
    """The tests' catalog with `tiny`, a default image, and `older`, which is none."""
    edit("tiny/image.yaml", "title: Tiny", "default: false\ntitle: Older")
    shutil.copytree(folder / "tiny", folder / "older")
    edit("tiny/image.yaml", "default: false\ntitle: Older", "title: Tiny")
    return folder


@pytest.fixture
def taken(catalog, monkeypatch) -> Callable[..., list[str]]:
    """The names of the images that a command on that catalog takes."""

    def resolve_all(*arguments: Any, **options: Any) -> list[Recipe]:
        raise Begun(*(recipe.name for recipe in resolved(*arguments, **options)))

    resolved = make.resolve_all
    for module in (make, prove):
        monkeypatch.setattr(module, "resolve_all", resolve_all)
    monkeypatch.setattr(show.recipe, "resolve_all", resolve_all)

    def taken(command: click.Command, *arguments: str) -> list[str]:
        with pytest.raises(Begun) as begun:
            command.main([*arguments], obj=catalog, standalone_mode=False)
        return list(begun.value.args)

    return taken


@pytest.mark.parametrize("command", [*WORKING.values(), show.report_], ids=[*WORKING, "report"])
def test_a_command_that_works_on_images_takes_the_default_ones_those_named_or_all(command, taken):
    assert taken(command) == ["tiny"]
    assert taken(command, "older") == ["older"]
    assert taken(command, "--all") == ["older", "tiny"]


@pytest.mark.parametrize("command", WORKING.values(), ids=WORKING)
def test_names_and_all_exclude_each_other(command, catalog):
    assert commands.run(command, catalog, "tiny", "--all") == (2, "expected names of images or --all, found both: tiny")


@pytest.mark.parametrize("command", WORKING.values(), ids=WORKING)
def test_the_name_of_a_base_is_no_images(command, catalog):
    status, complaint = commands.run(command, catalog, "base")
    assert status == 2 and complaint.startswith("no image 'base' in ")


def test_render_takes_all(catalog, edit):
    assert commands.run(make.render, catalog) == (0, "")
    edit("older/Dockerfile", "# Older", "# Elder")
    assert commands.run(make.render, catalog, "--check") == (
        1,
        f"{catalog}/older/Dockerfile: out of date, see above; run ./build.py render",
    )


def test_lock_takes_all(catalog, edit):
    edit("older/requirements.in", "numpy\n", "numpy\nsix\n")
    status, complaint = commands.run(make.lock, catalog, "--check")
    assert status == 1 and "older/requirements.lock" in complaint


def test_list_shows_all_and_says_which_are_default(catalog, capsys):
    commands.run(show.list_, catalog, "--json")
    images = json.loads(capsys.readouterr().out)["images"]
    assert {name: image["default"] for name, image in images.items()} == {"older": False, "tiny": True}


def test_a_catalog_without_a_default_image_is_one_line_that_says_what_to_name(catalog, edit):
    edit("tiny/image.yaml", "title: Tiny", "default: false\ntitle: Tiny")
    assert commands.run(make.build_, catalog) == (
        2,
        "no image is a default image; name one of older, tiny, or add --all",
    )


@pytest.mark.parametrize("option", [["--against", "other.tar"], ["--json"]])
def test_a_verdict_for_programs_and_another_image_to_compare_with_are_about_one_image(option, catalog):
    status, complaint = commands.run(prove.verify_, catalog, *option)
    assert status == 2 and complaint.startswith(f"{option[0]}: name one image")


def test_verify_goes_on_after_an_image_that_differs(catalog, monkeypatch):
    verified = []

    def verify(recipe: Recipe, *_: Any, **__: Any) -> SimpleNamespace:
        verified.append(recipe.name)
        return SimpleNamespace(comparison=SimpleNamespace(equal=recipe.name == "tiny"))

    monkeypatch.setattr(prove.verify, "verify", verify)
    monkeypatch.setattr(prove.verify, "print_verdict", lambda _: None)
    assert commands.run(prove.verify_, catalog, "--all") == (1, "older: the rebuild has a different digest, see above")
    assert verified == ["older", "tiny"]


def test_verify_in_a_container_is_one_command_for_all_images(catalog, monkeypatch):
    asked = []

    class Elsewhere(There):
        def __init__(self) -> None:
            pass

        def run(self, *arguments: str) -> None:
            asked.append(arguments)
            raise EndedThere(1)

    @contextmanager
    def workplace(*_: Any) -> Any:
        yield Elsewhere()

    monkeypatch.setattr(prove, "workplace", workplace)
    assert commands.run(prove.verify_, catalog, "--all", "--vary") == (1, "")
    assert asked == [("verify", "older", "tiny", "--vary")]
