"""`seedbed run --portable`: bits that follow from IEEE 754 alone, which every processor computes alike."""

import shlex

import pytest
from seedbed.commands.golden import UNKNOWN

from builder import paths
from builder.smoke.checks import GOLDEN_FILE
from tests.image.conftest import IMAGES

# What MKL's kernel for SSE2 does, operation by operation. Those of numpy are each rounded as IEEE 754 says.
ROOTS = """
import numpy, torch
numbers = numpy.concatenate([numpy.linspace(0.01, 4, 99_999), numpy.logspace(-30, 30, 99_999)]).astype(numpy.float32)
half, one = numpy.float32(0.5), numpy.float32(1)
guess = ((one / numpy.sqrt(numbers)).view(numpy.uint32) & numpy.uint32(0xFFFFF800)).view(numpy.float32)
root, inverse = numbers * guess, half * guess
rest = half - root * inverse
root, inverse = root + root * rest, inverse + inverse * rest
expected = root + (numbers - root * root) * inverse
print((torch.from_numpy(numbers).sqrt().numpy() != expected).sum(), "differ")
"""
PORTABLE = ["seedbed", "run", "--portable", "--"]


@pytest.fixture
def differing(record_of, docker):
    """How many of torch's square roots have other bits."""

    def differing(*before: str) -> int:
        finished = docker.run(record_of("pytorch").digest, [*before, "python", "-c", ROOTS])
        assert finished.status == 0, finished.stderr
        return int(finished.stdout.split()[0])

    return differing


def test_square_roots_of_torch_take_nothing_from_the_processor_but_ieee_754(differing) -> None:
    assert differing(*PORTABLE) == 0


def test_without_the_setting_they_start_from_a_guess_of_the_processors(differing) -> None:
    assert differing(*PORTABLE, "env", "--unset=MKL_VML_DEBUG_CPU_TYPE") > 0
    assert differing() > 0


@pytest.mark.parametrize("name", IMAGES)
def test_a_portable_training_has_its_golden_fingerprint_and_they_are_not_those_of_the_default(
    record_of, docker, recipe_of, name: str
) -> None:
    image = recipe_of(name).image
    file = f"images/{image.name}/{GOLDEN_FILE}"
    training = ["python", f"examples/{image.example}", "--epochs", "1"]
    known = image.folder / GOLDEN_FILE
    files = {"/workspace/examples": paths.EXAMPLES, f"/workspace/{file}": known}

    def checked(known: dict[str, object] = files) -> int:
        command = ["seedbed", "golden", file, "--", *PORTABLE, *training]
        done = docker.run(record_of(name).digest, command, files=known, environment={"OMP_NUM_THREADS": "1"})
        return done.status

    if (status := checked()) == UNKNOWN:
        pytest.skip("no portable training is recorded of such a machine (docs/golden.md)")
    assert status == 0
    default, portable = shlex.join(training), shlex.join([*PORTABLE, *training])
    exchanged = known.read_text().replace(f'"{portable}"', '"-"').replace(f'"{default}"', f'"{portable}"')
    assert checked({**files, f"/workspace/{file}": exchanged.encode()}) == 1
