"""The command line: help with an example, exit status 0, 1 or 2, one-line errors, data apart from talk."""

import json
import subprocess
import sys

import pytest

from builder import paths

CATALOG = paths.ROOT / "tests" / "images"


def build_py(*arguments: str, catalog=CATALOG) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(paths.ROOT / "build.py"), "--catalog", str(catalog), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "verb",
    [
        "list",
        "show",
        "report",
        "lock",
        "render",
        "build",
        "smoke",
        "verify",
        "diff",
        "push",
        "matrix",
        "doctor",
        "clean",
        "engine",
    ],
)
def test_every_verb_has_help_with_an_example(verb):
    asked = build_py(verb, "--help")
    assert asked.returncode == 0
    assert "Example: " in asked.stdout


def test_a_broken_image_yaml_is_one_line_and_status_2(folder, edit):
    edit("tiny/image.yaml", "title: Tiny", "titel: Tiny")
    asked = build_py("list", catalog=folder)
    assert asked.returncode == 2
    assert asked.stdout == ""
    assert len(asked.stderr.splitlines()) == 1 and "tiny/image.yaml:1: " in asked.stderr


def test_a_stale_lock_is_one_line_and_status_1(folder, edit):
    edit("tiny/requirements.in", "numpy\n", "numpy\nsix\n")
    asked = build_py("lock", "--check", catalog=folder)
    assert asked.returncode == 1
    assert "stale" in asked.stderr.splitlines()[-1]


def test_an_unknown_image_is_status_2():
    asked = build_py("show", "tinny")
    assert (asked.returncode, asked.stdout) == (2, "")


def test_an_unknown_option_is_status_2():
    assert build_py("list", "--yaml").returncode == 2


def test_render_check_shows_the_difference_and_fails(folder, edit):
    assert build_py("render", "--check", catalog=folder).returncode == 0
    edit("tiny/Dockerfile", "# Tiny", "# Teeny")
    asked = build_py("render", "--check", catalog=folder)
    assert asked.returncode == 1
    assert "-# Teeny" in asked.stdout and "+# Tiny" in asked.stdout
    assert asked.stderr.splitlines() == ["seedbed: tiny: not as rendered, see above; run ./build.py render"]


def test_list_prints_data_for_programs():
    images = json.loads(build_py("list", "--json").stdout)["images"]
    assert images["tiny"]["tag"] == "2.4.6-py311"
    assert {"digest", "lock", "layers"} <= images["tiny"].keys()


def test_show_names_every_wheel_of_every_layer():
    shown = json.loads(build_py("show", "tiny", "--json").stdout)
    assert shown["wheels"]["numpy"] == {"numpy": "2.4.6"}
