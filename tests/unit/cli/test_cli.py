"""The command line: help with an example, exit status 0, 1 or 2, one-line errors, data apart from talk."""

import json
import os
import subprocess
import sys

import click
import pytest

from builder import paths
from builder.cli.main import seedbed

CATALOG = paths.ROOT / "tests" / "images"


def build_py(*arguments: str, catalog=CATALOG) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(paths.ROOT / "build.py"), "--catalog", str(catalog), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("verb", seedbed.commands)
def test_every_verb_has_help_with_an_example(verb):
    command = seedbed.commands[verb]
    assert "Example: " in command.get_help(click.Context(command, info_name=verb))


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


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_a_base_is_no_image(verb):
    asked = build_py(verb, "base")
    assert asked.returncode == 2
    assert asked.stderr.endswith("no image 'base' in tests/images; there are: tiny\n")


def test_an_unknown_option_is_status_2():
    assert build_py("list", "--yaml").returncode == 2


def test_render_check_shows_the_difference_and_fails(folder, edit):
    assert build_py("render", "--check", catalog=folder).returncode == 0
    edit("tiny/Dockerfile", "# Tiny", "# Teeny")
    asked = build_py("render", "--check", catalog=folder)
    assert asked.returncode == 1
    assert "-# Teeny" in asked.stdout and "+# Tiny" in asked.stdout
    assert asked.stderr == f"seedbed: {folder}/tiny/Dockerfile: out of date, see above; run ./build.py render\n"


def test_list_prints_data_for_programs():
    images = json.loads(build_py("list", "--json").stdout)["images"]
    assert images["tiny"]["tag"] == "2.4.6-py311"
    assert {"digest", "lock", "layers"} <= images["tiny"].keys()


def test_show_names_every_wheel_of_every_layer():
    shown = json.loads(build_py("show", "tiny", "--json").stdout)
    assert shown["wheels"]["numpy"] == {"numpy": "2.4.6"}


def in_a_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`build` stands for build.py on the tests' catalog; data goes nowhere unless the command says so."""
    program = f'build() {{ {sys.executable} {paths.ROOT / "build.py"} --catalog {CATALOG} "$@"; }}\n'
    run = ["bash", "-o", "pipefail", "-c", program + command]
    return subprocess.run(run, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", ["list", "list --json", "--help", "list --help", "show tiny"])
@pytest.mark.parametrize(
    ("stdout", "reason"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_cannot_be_written_is_one_line_and_status_1(arguments, stdout, reason):
    asked = in_a_shell(f"build {arguments} {stdout}")
    assert (asked.returncode, asked.stderr) == (1, f"seedbed: output: {reason}\n")


@pytest.mark.parametrize("arguments", ["list", "show tiny --json", "--help"])
def test_a_reader_that_has_seen_enough_is_no_error_worth_a_line(arguments):
    assert in_a_shell(f"build {arguments} | head -c 1 >/dev/null").stderr == ""
    assert in_a_shell(f"build {arguments} | true").stderr == ""


def test_a_closed_stderr_takes_nothing_from_the_data():
    assert json.loads(in_a_shell("build list --json 2>&-").stdout)
    assert in_a_shell("build show tinny 2>&-").returncode == 2
    assert in_a_shell("build show tinny 2>/dev/full").returncode == 2


def test_no_other_file_takes_the_place_of_a_closed_stream():
    opened = (
        "import os; from builder.cli.group import open_streams; open_streams(); print(os.open('/', 0), file=sys.stderr)"
    )
    code = f"import os, sys; sys.path.insert(0, '{paths.ROOT}'); {opened}"
    assert in_a_shell(f'exec {sys.executable} -c "{code}" <&- >&-').stderr == "3\n"


@pytest.mark.parametrize("settings", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}])
def test_output_that_the_locale_cannot_show_is_written_in_escapes(settings):
    asked = in_a_shell("build lock --help", **settings)
    assert asked.returncode == 0 and asked.stderr == ""
    assert r"[IMAGE\u2026]" in asked.stdout or "[IMAGE…]" in asked.stdout


def test_a_file_whose_name_is_not_text_is_named_in_escapes(tmp_path):
    folder = tmp_path / "a\udcff\x1b[31m"
    folder.mkdir()
    asked = build_py("list", catalog=folder)
    assert asked.returncode == 2
    assert r"a\udcff\x1b[31m: no image here" in asked.stderr and "\x1b" not in asked.stderr


def test_a_temporary_folder_that_cannot_be_written_to_is_one_line():
    """Not the output is at fault."""
    program = f"""
import click, sys, tempfile
sys.path.insert(0, {str(paths.ROOT)!r})
from builder.cli.group import VerbGroup
main = VerbGroup()
@main.command(example="")
def run():
    tempfile._candidate_tempdir_list = lambda: ["/nonexistent"]
    tempfile.mkdtemp()
main()
"""
    asked = subprocess.run([sys.executable, "-c", program, "run"], capture_output=True, text=True, check=False)
    assert asked.returncode == 1
    assert asked.stderr == "seedbed: No usable temporary directory found in ['/nonexistent']\n"


def test_what_was_typed_does_not_act_on_the_terminal():
    """Control: click repeats a wrong word as it was typed."""
    asked = build_py("engine", "down", "\x9b1m\r\x1b[2J")
    assert asked.returncode == 2
    assert r"\x9b1m\r\x1b[2J" in asked.stderr
    assert all(char.isprintable() or char == "\n" for char in asked.stderr)
