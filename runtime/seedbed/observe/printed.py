"""What a command prints, without what varies by nature."""

import re

VARIES = re.compile(  # times, rates and addresses in what is printed
    r"\d[\d.,]*(?:e[-+]?\d+)?\s*(?:[mµun]?s|secs?|seconds?|min|minutes?|h|hours?)\b(?:/\w+)?"
    r"|\d[\d.,]*(?:e[-+]?\d+)?\s*[A-Za-z]+/s(?:ec)?\b"
    r"|\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?|\b\d+:\d\d(?::\d\d)?(?:\.\d+)?\b"
    r"|0x[0-9a-f]{6,}\b"
)


def steady(line: str) -> str:
    """The line without times, rates and addresses."""
    return VARIES.sub("...", line)
