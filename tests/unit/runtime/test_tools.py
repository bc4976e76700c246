"""Whatever a tool has drawn before, the user's first draw is the seed's first number."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

TOOL = """
import random, sys
random.random(); random.Random().random()
def go(file):
    namespace = {"__name__": "__main__", "__file__": file}
    with open(file) as opened:
        exec(compile(opened.read(), file, "exec"), namespace)
"""
SCRIPT = "import random\nprint(random.random(), random.Random().random())"


@pytest.fixture
def tool(python: Path, environ, install, tmp_path) -> Callable[..., str]:
    """What a script prints that an installed tool runs, with `more` code in the tool before."""

    def tool(script: str, more: str = "", arguments: tuple[str, ...] = ("-m", "tool"), **variables: str) -> str:
        install(
            {
                "site-packages/tool/__init__.py": "",
                "site-packages/tool/__main__.py": f"{TOOL}\n{more}\ngo(sys.argv[1])",
                "script.py": script,
            }
        )
        command = [python, *arguments, "script.py"]
        env = environ | {"PYTHONPATH": str(tmp_path / "site-packages")} | variables
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tool


@pytest.mark.parametrize("module", ["cProfile", "pdb", "trace"])
def test_pythons_own_tools_change_no_number(python, environ, tmp_path, output, module: str) -> None:
    wanted = output(SCRIPT).strip()
    options = {"pdb": ["-c", "continue", "-c", "quit"], "trace": ["--count", "-C", "counts"], "cProfile": []}[module]
    command = [python, "-m", module, *options, "script.py"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert wanted in done.stdout


def test_a_tool_that_draws_first_changes_no_number(tool, output) -> None:
    assert tool(SCRIPT) == output(SCRIPT)
    assert tool(SCRIPT, SEEDBED_SEED="7") != output(SCRIPT)


def test_a_console_script_counts_as_a_tool(tool, output, python: Path) -> None:
    (python.parent / "tool-of-the-tests").write_text("import runpy\nrunpy.run_module('tool', run_name='__main__')")
    assert tool(SCRIPT, arguments=(str(python.parent / "tool-of-the-tests"),)) == output(SCRIPT)


def test_without_the_hook_the_tool_would_have_moved_them(tool, output, install) -> None:
    """Negative control: the same code in a script of the user's own draws from the stream."""
    install({"mine.py": TOOL + "\nimport random\nprint(random.random(), random.Random().random())"})
    assert output("import mine") != output(SCRIPT)


def test_a_seed_that_the_user_sets_wins(tool, output) -> None:
    seeded = f"import random; random.seed(3)\n{SCRIPT}"
    assert tool(seeded).split()[0] == output(seeded, SEEDBED_MODE="off").split()[0]


def test_only_the_first_of_the_users_files_starts_over(tool, install, output) -> None:
    install({"second.py": "import random\nprint(random.random())"})
    script = "import random\nprint(random.random())\nimport second"
    assert tool(script) == output(script)


def test_numpys_generators_start_over(tool, output) -> None:
    pytest.importorskip("numpy")
    script = "import numpy\nprint(numpy.random.rand(), numpy.random.default_rng().random())"
    draws = "import numpy; numpy.random.rand(9); numpy.random.default_rng()"
    assert tool(script, draws) == output(script)


def test_mode_off_starts_nothing_over(tool) -> None:
    seeded = "random.seed(3)"
    drawn = tool(SCRIPT, seeded, SEEDBED_MODE="off").split()[0]
    assert drawn == tool(SCRIPT, seeded, SEEDBED_MODE="off").split()[0]
    assert tool(SCRIPT, SEEDBED_MODE="off") != tool(SCRIPT, SEEDBED_MODE="off")


RUNNER = """
def call_and_report(item, when, log=True):
    return item(when)
def run(tests):
    for test in tests:
        for when in ("setup", "call", "teardown"):
            call_and_report(test, when)
"""
TESTS = """
import random
from _pytest.runner import run

def draw(when):
    print(when, random.random(), random.Random().random())
def seed(when):
    if when == "call": random.seed(3)
def fixture(when):
    if when == "setup": random.seed(4)
def draw_called(when):
    if when == "call": print(random.random())
"""


@pytest.fixture
def with_pytest(install, output) -> Callable[[str], list[str]]:
    """What tests print, a line each, that a small double of pytest's runner runs."""

    def with_pytest(tests: str) -> list[str]:
        install({"_pytest/__init__.py": "", "_pytest/runner.py": RUNNER})
        return output(f"{TESTS}\nrun([{tests}])").splitlines()

    return with_pytest


def test_each_test_starts_at_the_seed_and_its_fixtures_elsewhere(with_pytest, output) -> None:
    setup, call, _, *again = with_pytest("draw, draw")
    assert again[:2] == [setup, call]
    assert call.split()[1:] == output(SCRIPT).split()
    assert not set(setup.split()) & set(call.split())


def test_what_a_test_seeds_ends_with_it(with_pytest) -> None:
    assert with_pytest("seed, draw_called") == with_pytest("draw_called")


def test_what_a_fixture_seeds_stays(with_pytest, output) -> None:
    assert (
        with_pytest("fixture, draw_called") == output("import random; random.seed(4); print(random.random())").split()
    )
