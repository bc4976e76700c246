"""Text that others wrote, made fit for a terminal or for one line of a log. Standard library only."""


def printable(text: str) -> str:
    r"""The text with everything that a terminal acts on instead of showing it written out, `\x1b` for an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def one_line(text: str) -> str:
    """The text as a single line that can be printed."""
    return printable(" ".join(text.split()))
