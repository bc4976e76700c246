"""What pydantic finds wrong with a document, in words for whoever writes it."""

from typing import Any

from pydantic import ValidationError

LONGEST_VALUE = 80  # characters of one that an error shows

Key = str | int


def first_problem(failed: ValidationError) -> tuple[tuple[Key, ...], str]:
    """The keys of the first thing wrong, and what it is."""
    first, *others = failed.errors(include_url=False)
    return first["loc"], explain(first) + (f" (and {len(others)} more)" if others else "")


def explain(error: Any) -> str:
    """One of pydantic's findings, said so that the writer of the file knows what to do."""
    match error["type"]:
        case "extra_forbidden":
            return "unknown key; remove it or correct its spelling"
        case "missing":
            return "missing; it is required"
        case "string_type":
            found = error["input"]
            return f"expected text, found {type(found).__name__} {brief(found)}; put it in quotes"
        case "tuple_type":
            return f"expected a list, found {brief(error['input'])}"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, found {brief(error['input'])}"


def brief(value: object) -> str:
    """The value as Python writes it, or how that begins."""
    written = repr(value)
    return written if len(written) <= LONGEST_VALUE else f"{written[:LONGEST_VALUE]}…"
