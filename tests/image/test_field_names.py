"""In the images, with real libraries: what must be unique differs from run to run, what is drawn for work repeats."""

import json

import pytest

OFF = {"SEEDBED_MODE": "off"}
CASE = ["python", "/field/names_and_samples.py"]


def differing(outputs: list[str], kind: str) -> set[str]:
    """The things of a kind whose values differ between two runs."""
    first, second = (json.loads(output)[kind] for output in outputs)
    return {what for what, value in first.items() if value != second[what]}


def test_names_differ_and_samples_repeat(field) -> None:
    outputs = field("pytorch").outputs(2, CASE)
    assert differing(outputs, "names") == json.loads(outputs[0])["names"].keys()
    assert not differing(outputs, "samples")


def test_with_seedbed_off_samples_differ_too(field) -> None:
    outputs = field("pytorch").outputs(2, CASE, OFF)
    assert differing(outputs, "samples") == json.loads(outputs[0])["samples"].keys()


def test_names_repeat_if_the_user_takes_a_package_for_a_sampler(field) -> None:
    """Negative control: what differs above differs because of the tables."""
    samplers = {"SEEDBED_SAMPLERS": "haikunator,__main__"}
    outputs = field("pytorch").outputs(2, CASE, samplers)
    assert differing(outputs, "names") == {"trace ID", "span ID", "coolname"}


def test_new_code_does_not_get_the_old_codes_results_from_a_cache(field) -> None:
    field("pytorch").run(["rm", "-rf", "/tmp/cache_keys"])
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": "/tmp/cache_keys_home"}
    case = ["python", "/field/cache_keys.py", "/tmp/cache_keys"]
    once, tenfold = (field("pytorch").outputs(1, [*case, factor], offline)[0] for factor in ("1", "10"))
    assert (once, tenfold) == ("1 2 3\n", "10 20 30\n")


@pytest.fixture(scope="module")
def apart(field) -> tuple[list[str], list[str], bool]:
    """The modules of the table that are installed, those that share the user's `random`, and if it is untouched."""
    return json.loads(field("pytorch").outputs(1, ["python", "/field/modules_apart.py"])[0])


def test_modules_that_draw_names_have_a_generator_of_their_own(apart) -> None:
    modules, sharing, untouched = apart
    assert {"IPython.core.tips", "coolname", "opentelemetry.sdk.trace.id_generator", "tenacity.wait"} <= set(modules)
    assert not sharing
    assert untouched


def test_with_seedbed_off_they_share_the_users(field) -> None:
    case = ["python", "/field/modules_apart.py", "coolname", "tenacity.wait"]
    modules, sharing, _ = json.loads(field("pytorch").outputs(1, case, OFF)[0])
    assert set(sharing) == set(modules) == {"coolname", "tenacity.wait"}
