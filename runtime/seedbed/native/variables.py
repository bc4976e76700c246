"""The variables by which a command is watched. Little is imported here: traced processes look at this as they start."""

EVENTS = "SEEDBED_NATIVE"  # the file that the library writes to
LIBRARY = "SEEDBED_NATIVE_LIBRARY"  # where it is: so that it can be told from a LD_PRELOAD of the user's own
PRELOAD = "LD_PRELOAD"


def with_library(environ: dict[str, str], library: str, events: str) -> dict[str, str]:
    """`environ` with what has this library loaded before everything else, and its events written to that file."""
    others = without(environ)
    preload = " ".join([library, *others.get(PRELOAD, "").split()])
    return {**others, PRELOAD: preload, LIBRARY: library, EVENTS: events}


def without(environ: dict[str, str]) -> dict[str, str]:
    """`environ` as it is for a command that is not watched."""
    library = environ.get(LIBRARY, "")
    rest = {name: value for name, value in environ.items() if name not in (EVENTS, LIBRARY)}
    if library and PRELOAD in rest:
        others = [path for path in rest.pop(PRELOAD).split() if path != library]
        rest |= {PRELOAD: " ".join(others)} if others else {}
    return rest
