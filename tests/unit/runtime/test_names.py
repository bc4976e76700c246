"""What must be unique stays unique, and what is drawn for work repeats."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from seedbed import names
from seedbed.boot import DRAW_NAMES_APART

from tests import pages

PAGE = Path(__file__).parents[3] / "docs" / "libraries.md"
TABLES = list(zip((DRAW_NAMES_APART, names.NAMERS, names.SAMPLERS), pages.tables(PAGE.read_text())[1:], strict=True))

SAMPLES = {
    "numbers": "random.Random().random()",
    "numbers out of a range": "random.Random().sample(range(1000), 5)",
    "a whole number": "random.Random().randint(0, 2**32 - 1), random.Random().randrange(2**63)",
    "an order": "(lambda order: (random.Random().shuffle(order), order))(list(range(99)))",
    "elements of a list": "random.Random().choices(['cat', 'dog', 'cow'], k=40)",
    "bases of DNA": "random.Random().choices('ACGT', k=40)",
    "bits for a seed": "random.Random().getrandbits(32)",
    "characters after a number": "[(g.random(), g.choices('0123456789', k=20)) for g in [random.Random()]]",
    "characters from the global generator": "random.choices('abcdefghijklmnopqrstuvwxyz', k=20)",
    "a subclass": "type('Mine', (random.Random,), {})().choices('0123456789', k=20)",
}
IDENTIFIERS = {
    "choices": "random.Random().choices(string.ascii_letters + string.digits, k=20)",
    "sample": "random.Random().sample(string.ascii_lowercase, 12)",
    "choice": "[g.choice(string.hexdigits) for g in [random.Random()] for _ in range(20)]",
    "a list of characters": "random.Random().choices(list(string.digits), k=20)",
    "a trace ID": "random.Random().getrandbits(128)",
    "base58": "random.Random().choices('123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz', k=20)",
    "a number of 64 bits": "random.Random().randrange(2**64)",
    "a number of 64 bits, with both ends": "random.Random().randint(0, 2**64 - 1)",
    "a token": "random.Random().randbytes(16)",
}


def printed(what: str) -> str:
    return f"import random, string\nprint({what})"


@pytest.mark.parametrize("what", SAMPLES.values(), ids=SAMPLES)
def test_samples_of_the_users_own_repeat(output, what: str) -> None:
    assert output(printed(what)) == output(printed(what))
    assert output(printed(what)) != output(printed(what), SEEDBED_MODE="off")


@pytest.mark.parametrize("what", IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_identifiers_differ_unless_the_user_says_they_are_samples(output, what: str) -> None:
    assert output(printed(what)) != output(printed(what))
    assert output(printed(what), SEEDBED_SAMPLERS="__main__") == output(printed(what), SEEDBED_SAMPLERS="__main__")


@pytest.mark.parametrize("what", IDENTIFIERS.values(), ids=IDENTIFIERS)
def test_a_seed_of_the_users_own_wins_over_what_is_drawn(output, what: str) -> None:
    seeded = printed(what.replace("random.Random()", "random.Random(3)"))
    assert output(seeded) == output(seeded, SEEDBED_MODE="off")
    later = "import random, string\ng = random.Random(); g.seed(3)\nprint(" + what.replace("random.Random()", "g") + ")"
    assert output(later) == output(seeded)


def test_an_identifier_changes_no_other_number(output) -> None:
    code = "import random\n{}\nprint(random.random(), random.Random().random())"
    names = "random.Random().choices('0123456789', k=9)"
    samples = "random.Random().choices('ACGT', k=9)"
    assert output(code.format(names)) == output(code.format(samples))


def test_a_generator_that_drew_an_identifier_can_be_copied_and_pickled(output) -> None:
    code = """
import copy, pickle, random
for fresh in (True, False):
    g = random.Random()
    fresh or g.choices("0123456789")
    for twin in copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g)):
        print(twin(g).getstate() == g.getstate(), twin(g).random() == g.random())"""
    assert set(output(code).split()) == {"True"}


PACKAGE = """
import dataclasses, os, random
own = random.Random()

@dataclasses.dataclass
class Maker:
    generator: random.Random = dataclasses.field(default_factory=random.Random)

def draw():
    return own.random(), random.Random().random(), Maker().generator.random()

def draw_in_fork():
    os.register_at_fork(after_in_child=own.seed)
    if os.fork() == 0: print(own.random(), flush=True); os._exit(0)
    os.wait()

def draw_bits():
    return random.Random().getrandbits(128), random.Random().choices("0123456789", k=9)

def name():
    return random.random()

def name_late():
    from random import choices
    return choices(range(1000), k=9)
"""


@pytest.fixture
def with_package(run, install, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Run code that can import an installed package of this name."""

    def with_package(name: str, code: str, **variables: str) -> subprocess.CompletedProcess:
        path = f"site-packages/{name.replace('.', '/')}"
        parents = {f"site-packages/{name.split('.')[0]}/__init__.py": ""} if "." in name else {}
        install(parents | {f"{path}.py" if "." in name else f"{path}/__init__.py": PACKAGE})
        done = run(code, PYTHONPATH=str(tmp_path / "site-packages"), **variables)
        assert done.returncode == 0, done.stderr
        return done

    return with_package


def differing(with_package, package: str, code: str, **variables: str) -> list[bool]:
    """For each number that the code prints: whether a second run prints another."""
    first, second = (with_package(package, code, **variables).stdout.split() for _ in range(2))
    return [one != other for one, other in zip(first, second, strict=True)]


@pytest.mark.parametrize(
    "package, variables, differ",
    [
        ("wandb", {}, True),
        ("albumentations", {}, False),
        ("of_nobody", {}, True),
        ("of_nobody", {"SEEDBED_SAMPLERS": "of_nobody,another"}, False),
        ("albumentations", {"SEEDBED_NAMERS": "another,albumentations"}, True),
    ],
)
def test_a_package_makes_samples_or_names(with_package, package: str, variables: dict, differ: bool) -> None:
    code = f"import {package}\nprint(*{package}.draw())"
    assert differing(with_package, package, code, **variables) == [differ] * 3


def test_in_a_package_that_samples_a_draw_that_looks_like_an_identifier_is_a_sample(with_package) -> None:
    code = "import hypothesis; print(hypothesis.draw_bits())"
    assert not any(differing(with_package, "hypothesis", code))


def test_what_is_left_random_stays_so_in_the_children_of_the_users_code(with_package) -> None:
    assert differing(with_package, "mlflow", "import mlflow; mlflow.draw_in_fork()") == [True]


def test_a_module_that_draws_names_from_the_global_generator_gets_one_of_its_own(with_package) -> None:
    code = "import coolname, random\nprint(coolname.name(), random.random(), *coolname.name_late())"
    name, number, *late = differing(with_package, "coolname", code)
    assert name and not number and any(late)


def test_what_it_draws_moves_no_number_of_the_users(with_package) -> None:
    code = "import coolname, random\n{}\nprint(random.random())"
    drawn = with_package("coolname", code.format("coolname.name(); coolname.name_late()")).stdout
    assert drawn == with_package("coolname", code.format("")).stdout
    off = {"SEEDBED_MODE": "off"}
    assert (
        with_package("coolname", "import coolname, random; print(coolname.random is random)", **off).stdout == "True\n"
    )


def test_what_keeps_the_modules_own_generator_can_be_copied_and_pickled(with_package) -> None:
    code = """
import coolname, copy, pickle
kept = coolname.random.randrange
for twin in copy.deepcopy(kept), pickle.loads(pickle.dumps(kept)):
    print(twin.__self__ is kept.__self__)"""
    assert with_package("coolname", code).stdout.split() == ["True", "True"]


def test_a_package_that_the_user_lists_draws_names_from_a_generator_of_its_own(with_package) -> None:
    code = "import of_nobody\nprint(of_nobody.name(), *of_nobody.draw())"
    assert differing(with_package, "of_nobody", code) == [False, True, True, True]
    assert differing(with_package, "of_nobody", code, SEEDBED_NAMERS="of_nobody") == [True] * 4


def test_audit_names_the_generators_left_random(with_package) -> None:
    code = "import of_nobody\nof_nobody.draw()\nimport random\nrandom.Random().choices('0123456789', k=9)"
    lines = with_package("of_nobody", code, SEEDBED_AUDIT="1").stderr.splitlines()
    said = [line for line in lines if "SEEDBED_SAMPLERS" in line]
    module, function = (line for line in said if "of_nobody/__init__.py:" in line)
    assert "2 times" in function and "2 times" not in module
    assert len([line for line in said if "script.py:4" in line and "an identifier" in line]) == 1
    assert "SEEDBED_SAMPLERS" not in with_package("wandb", "import wandb; wandb.draw()", SEEDBED_AUDIT="1").stderr


@pytest.mark.parametrize("known, rows", TABLES)
def test_what_is_known_is_on_the_page_in_order_with_what_it_draws_and_evidence(known, rows) -> None:
    on_page = [name.strip("`") for name, _, _ in rows]
    assert on_page == sorted(known)
    assert all(draws and evidence for _, draws, evidence in rows)


def test_no_package_makes_both() -> None:
    assert not names.NAMERS & names.SAMPLERS
