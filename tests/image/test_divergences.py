"""`verify` catches each planted divergence and `trace` names where it comes from; clean programs raise no alarm."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import paths
from builder.outcomes import Finished
from tests.image.divergences import CLEAN, HERE, PLANTED, Program

WORKSPACE = Path("/workspace")
FILES = {
    **{str(WORKSPACE / folder): HERE / folder for folder in ("planted", "clean")},
    **{str(WORKSPACE / file): paths.EXAMPLES / file for file in ("digits.py", "digits.csv.gz")},
}
MOST_NAMED = 3  # places that a report may name and still be of help

every_planted = pytest.mark.parametrize("program", PLANTED, ids=lambda program: program.name)
every_clean = pytest.mark.parametrize("program", CLEAN, ids=lambda program: program.name)
Verb = Callable[..., Finished]


@pytest.fixture
def seedbed(record_of, docker) -> Verb:
    """A verb of the command `seedbed`, with its options, on a program in its image."""

    def seedbed(program: Program, *verb: str) -> Finished:
        variables = {"SEEDBED_MODE": program.mode, "PYTHONPATH": str(WORKSPACE)}
        command = ["seedbed", *verb, "--", *program.command]
        return docker.run(record_of(program.image).digest, command, environment=variables, files=FILES)

    return seedbed


def named(report: dict) -> list[str]:
    """The culprits in the order in which a report names them: what was seen, where it starts, who else may be it."""
    cause = report["cause"]
    tried = [place for trial in report.get("hunt", ()) if trial["helps"] for place in trial["places"]]
    suspects = [f"{suspect['file']}:{suspect['line']}" for suspect in cause["likely"]]
    return list(dict.fromkeys([*cause["certain"], *tried, *cause["places"][:1], *suspects]))


ROWS = """
import torch
from seedbed.trace.torch import rows

same = [torch.arange(3), torch.tensor([2, 0, 1])]
other = [torch.zeros(5000), torch.ones(5000)], [torch.tensor(1), torch.tensor(2)]
print([rows(first) == rows(second) for first, second in (same, *other)])
"""


def test_only_equal_rows_are_called_the_same_in_another_order(record_of, docker) -> None:
    """Control: tensors of many rows or of none, which are not looked at row by row."""
    done = docker.run(record_of("pytorch").digest, ["python", "-c", ROWS])
    assert done.stdout == "[True, False, False]\n", done.stderr


@every_planted
def test_verify_catches_it(seedbed: Verb, program: Program) -> None:
    done = seedbed(program, "verify", "-n", "3", "--no-other-seed")
    assert done.status == 1, done.stdout + done.stderr
    assert "DIVERGED. First difference: " in done.stdout


@every_planted
def test_trace_names_the_culprit(seedbed: Verb, program: Program) -> None:
    done = seedbed(program, "trace", "--json", *["--hunt"] * bool(program.hunt))
    assert done.status == 1, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert any(program.culprit in culprit for culprit in named(report)[:MOST_NAMED]), done.stdout
    assert [trial["name"] for trial in report.get("hunt", ()) if trial["helps"]] == [program.hunt] * bool(program.hunt)


@every_clean
def test_a_clean_program_is_equal_and_has_nothing_to_trace_in_as_many_steps(seedbed: Verb, program: Program) -> None:
    verified = seedbed(program, "verify", "-n", "2", "--no-other-seed")
    assert verified.status == 0, verified.stdout + verified.stderr
    (steps,) = re.findall(r"EQUAL: 2 runs, (\d+ steps), ", verified.stdout)
    traced = seedbed(program, "trace", "-n", "2")
    assert traced.status == 0, traced.stdout + traced.stderr
    assert traced.stdout == f"No difference in {steps} of 2 runs.\n"


@pytest.mark.parametrize("program", [program for program in CLEAN if program.name in ("shuffled_loader", "keras_fit")])
def test_a_clean_program_diverges_without_the_layer(seedbed: Verb, program: Program) -> None:
    """So that its being equal says something."""
    done = seedbed(program, "verify", "-n", "2", "--mode", "off")
    assert (done.status, "DIVERGED" in done.stdout) == (1, True), done.stdout + done.stderr
