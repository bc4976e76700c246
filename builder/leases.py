"""Names for what outlives a process that is killed, such as a container: the next run finds those without an owner."""

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from builder.scratch import held

NAME = "leases"


@contextmanager
def lease(home: Path) -> Iterator[str]:
    """A new name, for as long as this process lives. It is left to `settle` if the block is not left in peace."""
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with held(home):
            made = Path(tempfile.mkdtemp(dir=home))
            stack.enter_context(held(made))
        yield made.name
        made.rmdir()


def settle(home: Path, end: Callable[[str], object]) -> None:
    """Call `end` with each name that no process holds any more, and forget the name unless that fails."""
    if not home.exists():
        return
    with held(home):
        for left in home.iterdir():
            with suppress(OSError), held(left, fcntl.LOCK_NB):
                end(left.name)
                left.rmdir()
