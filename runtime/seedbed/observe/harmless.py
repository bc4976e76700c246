"""What watches a training does it no harm."""

import functools
from collections.abc import Callable

from seedbed import terminal

failures: set[str] = set()


def harmless(note: Callable) -> Callable:
    """What cannot be recorded is said once; the training goes on."""

    @functools.wraps(note)
    def harmless(*args):
        try:
            return note(*args)
        except Exception as error:
            if note.__name__ not in failures:
                failures.add(note.__name__)
                reason = str(error).partition("\n")[0]
                terminal.log(f"something is missing in the record ({note.__name__}): {reason}")

    return harmless
