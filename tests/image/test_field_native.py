"""In the images: generators that are not Python's are noticed in any library; trainings without any are clean."""

import re

import pytest

DRAWS = "/field/native_draws.py"
PACKAGES = ("numba", "polars", "polars", "polars")  # of the lines that it prints
UNKNOWN = ["python", "/field/native_unknown.py", "/tmp/native_simulator.so"]


def named(report: str, file: str) -> dict[int, str]:
    """What is said of the lines of a file."""
    return {int(line): what for line, what in re.findall(rf"{file}:(\d+)  (.*)", report)}


def test_numba_and_polars_are_named_where_nothing_seeds_them(field) -> None:
    report = field("pytorch").run(["seedbed", "run", "--mode", "off", "--audit", "--", "python", DRAWS]).stderr
    lines = named(report, DRAWS)
    drawn = {line: what.split()[0] for line, what in lines.items() if "entropy" in what}
    assert drawn == {14: "numba", 15: "polars"}  # the generators are seeded once: line 16 goes on with that of line 15
    assert any("polars" in what and "keys for hash maps" in what for what in lines.values())


def test_a_library_that_differs_in_strict_is_named(field) -> None:
    container = field("pytorch")
    first, second = (output.splitlines() for output in container.outputs(2, ["python", DRAWS]))
    packages = [package for package, a, b in zip(PACKAGES, first, second, strict=True) if a != b]
    report = container.run(["seedbed", "run", "--audit", "--", "python", DRAWS]).stderr
    assert all(any(package in what for what in named(report, DRAWS).values()) for package in packages)


@pytest.fixture(scope="module")
def simulator(field) -> None:
    build = ["c++", "-shared", "-fPIC", "-o", UNKNOWN[-1], "/field/native_simulator.cc"]
    field("pytorch").outputs(1, build)


@pytest.mark.usefixtures("simulator")
def test_a_library_that_nobody_knows_is_named_by_audit_and_verify(field) -> None:
    container = field("pytorch")
    audited = container.run(["seedbed", "run", "--audit", "--", *UNKNOWN])
    assert "native_simulator draws from the operating system's entropy" in named(audited.stderr, UNKNOWN[1])[8]
    verified = container.run(["seedbed", "verify", "-n", "2", "--no-other-seed", "--", *UNKNOWN])
    assert verified.status == 1
    assert named(verified.stdout, UNKNOWN[1]).keys() == {8}


@pytest.mark.usefixtures("simulator")
def test_without_the_watch_it_is_not_seen(field) -> None:
    """Negative control."""
    report = field("pytorch").run(UNKNOWN, {"SEEDBED_AUDIT": "1"}).stderr
    assert not named(report, UNKNOWN[1])
    assert "native generators are not watched: use seedbed run --audit" in report


@pytest.mark.parametrize("image", ["pytorch", "tensorflow"])
def test_entropy_for_names_is_not_named(field, image: str) -> None:
    done = field(image).run(["seedbed", "run", "--audit", "--", "python", "/field/native_clean.py"])
    assert done.status == 0, done.stderr
    assert "audit: places to look at: none" in done.stderr
