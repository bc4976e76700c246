"""The two ways a verb can end badly. Both print as one line that says what to do next."""

from builder.text import one_line


class SeedbedError(Exception):
    """The thing asked for could not be done, or the thing checked does not hold (exit status 1)."""

    exit_status = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(SeedbedError):
    """The request itself is wrong: a bad option, a broken image.yaml (exit status 2)."""

    exit_status = 2
