"""In the images: whatever a tool has drawn before, the user's first draw is the seed's first number."""

import re
from collections.abc import Callable

import pytest

SCRIPT = "/field/draws.py"
OFF = {"SEEDBED_MODE": "off"}
NOTEBOOK = ("jupyter", "nbconvert", "--to", "notebook", "--execute", "--stdout")
TOOLS = {
    "ipython": ["ipython", SCRIPT],
    "ipython -c": ["ipython", "-c", f"exec(open('{SCRIPT}').read())"],
    "jupyter nbconvert": [*NOTEBOOK, "/field/draws.ipynb"],
    "pdb": ["python", "-m", "pdb", "-c", "continue", "-c", "quit", SCRIPT],
    "coverage": ["coverage", "run", "--data-file=/tmp/coverage", SCRIPT],
    "cProfile": ["python", "-m", "cProfile", SCRIPT],
    "trace": ["python", "-m", "trace", "--count", "--coverdir=/tmp/counts", SCRIPT],
    "kernprof": ["kernprof", "-l", "-o", "/tmp/profile", SCRIPT],
}


@pytest.fixture(scope="module")
def drawn(field) -> Callable[..., list[str]]:
    """The numbers that the script prints under a tool."""

    def drawn(command: list[str], environment: dict[str, str] | None = None, image: str = "pytorch") -> list[str]:
        done = field(image).run(command, environment)
        lines = re.findall(r"drawn ([-0-9. e]+)", done.stdout)
        assert len(lines) == 1, done.stdout + done.stderr
        return lines[0].split()

    return drawn


@pytest.fixture(scope="module")
def wanted(drawn) -> list[str]:
    return drawn(["python", SCRIPT])


@pytest.mark.parametrize("command", [pytest.param(command, id=name) for name, command in TOOLS.items()])
def test_the_tool_changes_no_number(drawn, wanted, command: list[str]) -> None:
    assert drawn(command) == wanted


def test_with_seedbed_off_no_number_is_the_same(drawn, wanted) -> None:
    assert not set(drawn(TOOLS["coverage"], OFF)) & set(wanted)


def test_a_notebook_starts_with_the_weights_that_a_script_starts_with(drawn) -> None:
    script = drawn(["python", "/field/weights.py"], image="tensorflow")
    assert drawn([*NOTEBOOK, "/field/weights.ipynb"], image="tensorflow") == script


TESTS = "/field/draws_in_tests.py"
REPORT = "/tmp/tests.xml"


@pytest.fixture(scope="module")
def in_tests(field) -> Callable[..., dict[str, str]]:
    """What each test draws: its number -> the numbers at import, of a shared fixture, and its own."""

    def in_tests(*options: str, tests: str = TESTS, environment: dict[str, str] | None = None) -> dict[str, str]:
        command = ["pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={REPORT}", *options, tests]
        done = field("pytorch").run(command, environment)
        assert done.status == 0, done.stdout + done.stderr
        report = field("pytorch").run(["cat", REPORT]).stdout
        return dict(text.split(" ", 1) for text in re.findall(r'name="drawn" value="([^"]+)"', report))

    return in_tests


PLAIN = ("-p", "no:randomly")


@pytest.fixture(scope="module")
def plain(in_tests) -> dict[str, str]:
    return in_tests(*PLAIN)


def test_each_test_starts_at_the_seed(plain, wanted) -> None:
    assert len(plain) == 4
    assert len(set(plain.values())) == 1
    assert plain["0"].startswith(wanted[0])
    assert plain["0"].endswith(f"({wanted[0]}, {wanted[2]}, {wanted[3]})")


def test_torch_starts_over_too(field, in_tests) -> None:
    number = field("pytorch").outputs(1, ["python", "-c", "import torch; print(torch.rand(1).item())"])[0].strip()
    assert in_tests(*PLAIN, tests="/field/torch_in_tests.py") == {"0": number, "1": number}


def test_the_worker_that_runs_a_test_changes_no_number(in_tests, plain) -> None:
    assert in_tests(*PLAIN, "-n", "2") == plain


def test_a_test_alone_draws_what_it_draws_among_others(in_tests, plain) -> None:
    assert in_tests(*PLAIN, "-k", "2") == {"2": plain["2"]}


def test_with_seedbed_off_tests_differ(in_tests) -> None:
    assert len(set(in_tests(*PLAIN, environment=OFF).values())) == 4


def test_pytest_randomly_wins_and_repeats(in_tests) -> None:
    tests = in_tests()
    assert tests == in_tests()
    assert len(set(tests.values())) == 4
