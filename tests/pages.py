"""Pages of the documentation, whose commands tests run."""

import re


def blocks(text: str, language: str) -> list[str]:
    """The content of each fenced block of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """The lines of `console` blocks, which begin with `$ `; one that ends with a backslash goes on in the next."""
    lines = [line for block in blocks(text, "console") for line in block.replace("\\\n", "").splitlines()]
    return [line.removeprefix("$ ") for line in lines]


def tables(text: str) -> list[list[list[str]]]:
    """The tables, each a list of rows, without the head, each a list of cells."""
    found = re.findall(r"^\|.*\n\| --- .*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[re.split(r" \| ", line.strip("| ")) for line in table.splitlines()] for table in found]
