"""The two ways in which a command fails. Both print as one line that says what to do next."""

from builder.text import one_line


class SeedbedError(Exception):
    """A command could not do its work, or what it checks does not hold (exit status 1)."""

    exit_status = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(SeedbedError):
    """The request itself is wrong: a bad option, a broken image.yaml (exit status 2)."""

    exit_status = 2
