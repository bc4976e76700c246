"""Errors as people have reported them: what the mode causes ends with what helps, and a crash is no divergence."""

import pytest

STRICT, WARN, OFF = ({"SEEDBED_MODE": mode} for mode in ("strict", "warn", "off"))


@pytest.mark.parametrize("variables", [STRICT, WARN], ids=["strict", "warn"])
def test_graphs_of_tensorflow_1_repeat_and_differ_from_one_another(field, variables: dict[str, str]) -> None:
    """tensorflow#14775, #9003."""
    first, second = field("tensorflow").outputs(2, ["python", "/field/sessions.py"], variables)
    one, other = first.split()
    assert (first, one != other) == (second, True)


def test_graphs_of_tensorflow_1_differ_with_the_mode_off(field) -> None:
    first, second = field("tensorflow").outputs(2, ["python", "/field/sessions.py"], OFF)
    assert first != second


@pytest.mark.parametrize(
    "image, script, named",
    [("pytorch", "unpooled.py", "max_unpooling2d"), ("tensorflow", "unseeded_op.py", "Random ops")],
)
def test_an_error_of_the_mode_ends_with_what_helps_and_that_helps(field, image: str, script: str, named: str) -> None:
    refused = field(image).run(["python", f"/field/{script}"], STRICT)
    last = refused.stderr.splitlines()[-1]
    assert (refused.status, named in last, "SEEDBED_MODE=warn" in last) == (1, True, True), refused.stderr
    allowed = field(image).run(["python", f"/field/{script}"], WARN)
    assert allowed.status == 0, allowed.stderr


def test_ports_drawn_side_by_side_are_a_crash_with_its_last_words(field) -> None:
    """pycls#87, snowfall#152."""
    verify = ["seedbed", "verify", "-n", "2", "--no-other-seed"]
    done = field("pytorch").run([*verify, "--parallel", "2", "--", "python", "/field/drawn_port.py"])
    assert (done.status, "DIVERGED" in done.stdout) == (1, False), done.stdout + done.stderr
    assert "EADDRINUSE" in done.stdout
    assert "Parallel runs draw the same random port or name: use --parallel 1." in done.stdout


def test_two_trainings_in_threads_are_equal_each_by_itself(field) -> None:
    command = ["seedbed", "verify", "-n", "2", "--no-other-seed", "--", "python", "/field/two_trainings.py"]
    done = field("pytorch").run(command)
    assert (done.status, "EQUAL: 2 runs" in done.stdout) == (0, True), done.stdout + done.stderr


def test_two_threads_that_race_for_one_model_are_a_divergence_and_no_broken_record(field) -> None:
    command = ["seedbed", "verify", "-n", "3", "--no-other-seed", "--", "python", "/field/two_trainings.py", "shared"]
    done = field("pytorch").run(command)
    assert (done.status, "DIVERGED. First difference: " in done.stdout) == (1, True), done.stdout + done.stderr
