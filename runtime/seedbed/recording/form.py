"""What the lines of a record may hold. A record may come from anybody: whatever is read of one has passed here."""

from collections.abc import Callable
from dataclasses import dataclass

from seedbed.settings import LARGEST_SEED, MODES

LARGEST = 1 << 63
STATE = "state "  # what a step began with, if that was asked for: the beginning of such keys


@dataclass(frozen=True)
class Form:
    """In words, and as a test."""

    words: str
    fits: Callable[[object], bool]


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_whole(value: object) -> bool:
    return type(value) is int and -LARGEST <= value < LARGEST


def is_exact(value: object) -> bool:
    """Whether it is a number as `float.hex` writes it."""
    try:
        return isinstance(value, str) and isinstance(float.fromhex(value), float)
    except (ValueError, OverflowError):
        return False


def is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | bool | float) or is_whole(value)


def list_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


def table_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


TEXT = Form("text", is_text)
TEXTS = Form("a list of texts", list_of(is_text))
TABLE = Form("texts by name", table_of(is_text))
COUNT = Form("a whole number from 0 on", lambda value: is_whole(value) and value >= 0)
EXACT = Form("a hexadecimal number", is_exact)
STATUS = Form("a whole number or null", lambda value: value is None or is_whole(value))
PLAIN = Form(
    "text, a number, or a list or table of these",
    lambda value: any(fits(value) for fits in (is_scalar, list_of(is_scalar), table_of(is_scalar))),
)
FACTS = {
    "command": TEXTS,
    "folder": TEXT,
    "started": TEXT,
    "seed": Form(f"a whole number from 0 to {LARGEST_SEED}", lambda value: COUNT.fits(value) and value <= LARGEST_SEED),
    "mode": Form("strict, warn or off", lambda value: is_text(value) and value in MODES),
    "image": TABLE,
    "packages": TABLE,
    "cpu": Form(
        "texts by name, and a list of instructions",
        table_of(lambda value: is_text(value) or list_of(is_text)(value)),
    ),
    "gpus": TEXTS,
    "threads": COUNT,
    "ranks": COUNT,
    "rank": COUNT,
    "environment": TABLE,
    "sources": TABLE,
    "data": TABLE,
}
LINE = {
    "run": Form("the facts of a run", lambda value: isinstance(value, dict)),
    "step": COUNT,
    "epoch": COUNT,
    "line": COUNT,
    "thread": TEXT,
    "loss": Form("a list of hexadecimal numbers", list_of(is_exact)),
    "norm": EXACT,
    **dict.fromkeys(("initial", "data", "gradients", "parameters", "text"), TEXT),
    "metrics": Form("hexadecimal numbers by name", table_of(is_exact)),
    "outputs": TABLE,
    "end": Form("how it ended", table_of(is_scalar)),
}
TOGETHER = {"line": "text", "epoch": "metrics"}  # a line with the one has the other


def checked(line: object, place: str) -> dict:
    """The line. ValueError, with its place and the key: it is not of that form."""
    if not isinstance(line, dict):
        raise ValueError(f"{place}: expected a JSON object")
    check(line, LINE, place)
    check({key: value for key, value in line.items() if key.startswith(STATE)}, {}, place, TEXT)
    for one, other in TOGETHER.items():
        if one in line and other not in line:
            raise ValueError(f"{place}: expected {other} beside {one}")
    check(line.get("run", {}), FACTS, f"{place}: run", PLAIN)
    check(line.get("end", {}), {"status": STATUS, "lines": COUNT}, f"{place}: end")
    return line


def check(found: dict, forms: dict[str, Form], place: str, others: Form | None = None) -> None:
    for key, value in found.items():
        form = forms.get(key, others)
        if form and not form.fits(value):
            raise ValueError(f"{place}: {key}: expected {form.words}, found {described(value)}")


def described(value: object) -> str:
    """In few words, however large it is."""
    return repr(value[:20]) if isinstance(value, str) else type(value).__name__
