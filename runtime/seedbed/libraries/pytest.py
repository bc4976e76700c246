"""pytest: each test starts at the seed, whichever ran before it and whichever worker of pytest-xdist runs it.

pytest-randomly seeds before each test too, later than this, and so wins. Its own seed, which it draws in each run, is
replaced by Seedbed's.
"""

import functools
from types import ModuleType

from seedbed import process


def configure(module: ModuleType) -> None:
    CONFIGURE[module.__name__](module)


def start_each_test_over(runner: ModuleType) -> None:
    """Before the fixtures of a test are set up, and before the test itself: fixtures draw other numbers than tests.

    What the test seeds itself ends with it. What a fixture or a conftest.py seeds stays.
    """
    call_and_report = runner.call_and_report

    @functools.wraps(call_and_report)
    def started_over(item, when, *arguments, **options):
        if when != "teardown":
            process.start_over("" if when == "call" else f"{process.boot.lineage}/setup")
        before = process.chosen_seeds()
        try:
            return call_and_report(item, when, *arguments, **options)
        finally:
            if when == "call":
                process.forget_seeds_since(before)

    runner.call_and_report = started_over


def give_seed(randomly: ModuleType) -> None:
    """Older releases keep their seed in `default_seed`."""
    if hasattr(randomly, "make_seed"):
        randomly.make_seed = process.seed
    elif hasattr(randomly, "default_seed"):
        randomly.default_seed = process.seed()


CONFIGURE = {"_pytest.runner": start_each_test_over, "pytest_randomly": give_seed}


def state(module: ModuleType) -> dict[str, str]:
    """Nothing: the rows of the table are about libraries that compute."""
    return {}
