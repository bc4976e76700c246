"""A changelog as text for a terminal, or as Markdown for a pull request."""

from collections.abc import Iterable, Iterator, Sequence

from builder.console import size
from builder.reproduce.changes import SECTIONS, Change, Changelog, FileChange, LayerSizes, Number, Numbers
from builder.text import printable

MOST_FILES = 20
LONGEST_VALUE = 100
DIGITS = 12
"""Of a sha256, where people read it."""


Row = tuple[str, ...]
Section = tuple[str, str, list[Row]]
"""A heading, what it comes to, and rows: changed or not, a name, and the change."""


def as_text(log: Changelog, above: Iterable[Changelog] = ()) -> Iterator[str]:
    """Lines. What is the same as in a changelog `above` is named and not repeated."""
    if log.empty:
        yield f"{log.first} → {log.second}: {nothing(log)}"
        return
    yield f"{log.first} → {log.second}"
    for heading, said, rows in sections(log, above):
        yield f"{heading}: {said}"
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_markdown(log: Changelog, above: Iterable[Changelog] = ()) -> Iterator[str]:
    """Lines. A section with changes has a table, the others a line."""
    yield f"### {plain(log.first)} → {plain(log.second)}"
    yield ""
    if log.empty:
        yield f"{nothing(log)[0].upper()}{nothing(log)[1:]}."
        yield ""
        return
    for heading, said, rows in sections(log, above):
        yield f"**{heading}**: {plain(said)}"
        yield ""
        if rows:
            yield "| | | |"
            yield "| --- | --- | --- |"
            yield from (f"| {kind} | {code(name)} | {code(change)} |" for kind, name, change in rows)
            yield ""


def trace_as_text(training: str, found: str) -> Iterator[str]:
    """What `seedbed trace` says of two images, each of which is a run to it."""
    yield f"{training}, once in each image:"
    yield from (f"  {line}".rstrip() for line in found.splitlines())


def trace_as_markdown(training: str, found: str) -> Iterator[str]:
    yield f"**{plain(training)}**, once in each image:"
    yield ""
    yield from (f"    {line}".rstrip() for line in found.splitlines())
    yield ""


def nothing(log: Changelog) -> str:
    """That nothing changed, and how much was compared."""
    counted = [f"{log.same['debian']} Debian packages", f"{log.same['wheels']} wheels"]
    counted += [f"{numbers.same} {numbers.what}" for numbers in log.numbers if numbers.same]
    return f"nothing changed ({', '.join(counted)})"


def sections(log: Changelog, above: Iterable[Changelog]) -> Iterator[Section]:
    """Those with changes, then one that names those without."""
    same = []
    for name, heading in SECTIONS.items():
        found = log.sections[name]
        if not found:
            same += [heading] if log.same[name] else []
        elif twin := next((other for other in above if other.sections[name] == found), None):
            yield heading, f"{counts(found)}, the same as of {twin.second}", []
        else:
            yield heading, counts(found), [(change.kind, change.name, change_of(change)) for change in found]
    if log.files:
        yield files_section(log.files)
    elif log.files is not None:
        same.append("Files")
    if log.layers:
        yield "Layers", layers(log.layers), []
    for numbers in log.numbers:
        yield numbers_section(numbers)
    if same:
        yield "Nothing changed in", ", ".join(same), []


def counts(found: Sequence[Change | FileChange | Number]) -> str:
    """`2 changed, 1 added`."""
    kinds = [change.kind for change in found]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("changed", "added", "removed") if kind in kinds)


def change_of(change: Change) -> str:
    known = [value(one) for one in (change.before, change.after) if one is not None]
    return " → ".join(known)


def value(text: str) -> str:
    """Of a hash only the first digits; of a long value only its start."""
    text = printable(text)
    algorithm, _, digits = text.rpartition(":")
    if len(digits) in (32, 64) and all(digit in "0123456789abcdef" for digit in digits):
        return f"{algorithm}:{digits[:DIGITS]}".removeprefix(":")
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def files_section(found: Sequence[FileChange]) -> Section:
    """The largest changes."""
    shown = found[:MOST_FILES]
    growth = signed(sum(change.growth for change in found))
    more = f", the {len(shown)} largest are" if len(found) > len(shown) else ""
    rows = [(change.kind, printable(change.path), sizes(change)) for change in shown]
    return "Files", f"{counts(found)}; {growth} unpacked{more}", rows


def sizes(change: FileChange) -> str:
    known = [size(one) for one in (change.before, change.after) if one is not None]
    if change.before is None or change.after is None:
        return known[0]
    if change.before == change.after:
        return f"{known[0]}, other content, mode or owner"
    return f"{' → '.join(known)} ({signed(change.growth)})"


def signed(count: int) -> str:
    return f"{'-' if count < 0 else '+'}{size(abs(count))}"


def layers(found: LayerSizes) -> str:
    return (
        f"{found.shared} shared ({size(found.shared_size)}); "
        f"{found.before} ({size(found.before_size)}) → {found.after} ({size(found.after_size)}), compressed"
    )


def numbers_section(numbers: Numbers) -> Section:
    """The one kind of machine on which numbers changed is named once, several are named each time."""
    said = [counts(numbers.changed)] if numbers.changed else []
    if numbers.same:
        stale = f", {numbers.not_current} of them recorded with other locks than these" if numbers.not_current else ""
        said.append(f"{numbers.same} the same{stale}")
    else:
        said.append("none the same" if numbers.changed else "none recorded")
    heading, machines = f"Numbers of {numbers.what}", {one.machine for one in numbers.changed}
    if len(machines) == 1:
        rows = [(one.kind, one.training, number(one)) for one in numbers.changed]
        return heading, f"{', '.join(said)}; on {machines.pop()}", rows
    rows = [(one.kind, f"{one.training} on {one.machine}", number(one)) for one in numbers.changed]
    return heading, ", ".join(said), rows


def number(found: Number) -> str:
    """The fields in which a recorded number differs."""
    if found.kind == "removed":
        return "no longer recorded"
    stale = "" if found.current else "; recorded with other locks than these"
    return "; ".join(f"{change.name} {change_of(change)}" for change in found.changes) + stale


def plain(text: str) -> str:
    """Text in which Markdown finds no mark-up of its own."""
    return "".join(f"\\{char}" if char in r"\`*_[]<>|#" else char for char in printable(text))


def code(text: str) -> str:
    """A code span in a table's cell: a backtick ends it and a bar the cell, so these are replaced or escaped."""
    return f"`{printable(text).replace('`', chr(39)).replace('|', chr(92) + '|')}`"
