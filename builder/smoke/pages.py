"""`python -m builder.smoke.pages` writes the table of docs/programs.md from the records of the last smoke tests."""

import sys
from collections.abc import Iterable, Mapping
from itertools import chain

from builder import files, paths
from builder.catalog import models
from builder.errors import SeedbedError
from builder.image import build
from builder.image import pages as image_pages
from builder.image.recipe import resolve
from builder.outcomes import Result
from builder.smoke.checks import CLAIM

PROGRAMS = paths.ROOT / "docs" / "programs.md"
BEGIN = "<!-- table: programs -->\n"
HEAD = [
    "| image | program | repeats | differs under another seed | differs with Seedbed disabled |",
    "| --- | --- | --- | --- | --- |",
]
AS_CLAIMED = "yes | yes | yes"


def main() -> None:
    loaded = models.load(paths.IMAGES)
    records = {image.name: build.find(resolve(loaded, image)) for image in loaded.select(())}
    tested = {name: record.smoke for name, record in records.items() if record and record.full}
    for name in records.keys() - tested.keys():
        print(f"{name}: not tested in full, so its rows stay; run ./build.py smoke --full {name}", file=sys.stderr)
    files.write(PROGRAMS, with_table(PROGRAMS.read_text(encoding="utf-8"), tested))


def with_table(page: str, results: Mapping[str, Iterable[Result]]) -> str:
    """The page with the rows of these images, by their names, made anew; those of other images stay."""

    def table(old: str) -> str:
        rows: dict[str, list[str]] = {}
        for line in old.splitlines()[len(HEAD) :]:
            rows.setdefault(line.split("|")[1].strip(), []).append(line)
        rows |= {name: [row(name, result) for result in of if tests_program(result)] for name, of in results.items()}
        return "".join(f"{line}\n" for line in [*HEAD, *chain.from_iterable(rows.values())])

    return image_pages.with_table(page, BEGIN, table, PROGRAMS.name)


def tests_program(result: Result) -> bool:
    return result.check.startswith(CLAIM)


def row(image: str, result: Result) -> str:
    ended = AS_CLAIMED if result.outcome == "passed" else f"{result.outcome}: {result.detail} | |"
    return f"| {image} | {result.check.removeprefix(CLAIM)} | {ended} |"


if __name__ == "__main__":
    try:
        main()
    except SeedbedError as error:
        sys.exit(f"seedbed: {error}")
