"""pytest: each test starts at the seed, whichever ran before it and whichever worker of pytest-xdist runs it.

pytest-randomly seeds before each test too, later than this, and so wins.
"""

from types import ModuleType

from seedbed import lineage, process
from seedbed.wrapping import around


def configure(runner: ModuleType) -> None:
    """Before the fixtures of a test are set up, and before the test itself: fixtures draw other numbers than tests.

    What the test seeds itself ends with it. What a fixture or a conftest.py seeds stays. Workers of pytest-xdist are
    equal programs started at once, which would be told apart otherwise.
    """
    if lineage.is_program():
        lineage.path = ""

    def started_over(call_and_report, item, when, *arguments, **options):
        if when != "teardown":
            process.start_over("" if when == "call" else f"{lineage.path}/setup")
        before = process.chosen_seeds()
        try:
            return call_and_report(item, when, *arguments, **options)
        finally:
            if when == "call":
                process.forget_seeds_since(before)

    around(runner, "call_and_report", started_over)
