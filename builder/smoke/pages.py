"""`python -m builder.smoke.pages` writes the table of docs/programs.md from the records of the last smoke tests."""

import sys
from collections.abc import Iterable, Mapping

from builder import files, paths
from builder.catalog import models
from builder.errors import SeedbedError
from builder.image import build
from builder.image.recipe import resolve
from builder.image.record import SmokeResult
from builder.smoke.checks import CLAIM

PROGRAMS = paths.ROOT / "docs" / "programs.md"
BEGIN, END = "<!-- table: programs -->\n", "<!-- end -->\n"
HEAD = [
    "| image | program | repeats | differs under another seed | differs with Seedbed disabled |",
    "| --- | --- | --- | --- | --- |",
]
AS_CLAIMED = "yes | yes | yes"


def main() -> None:
    loaded = models.load(paths.IMAGES)
    records = {image.name: build.find(resolve(loaded, image)) for image in loaded.select((), default=True)}
    if missing := [name for name, record in records.items() if record is None or not record.full]:
        raise SeedbedError(f"{', '.join(missing)}: not tested in full; run ./build.py smoke --full")
    page = PROGRAMS.read_text(encoding="utf-8")
    files.write(PROGRAMS, with_table(page, {name: record.smoke for name, record in records.items() if record}))


def with_table(page: str, results: Mapping[str, Iterable[SmokeResult]]) -> str:
    """The page with the table between its marks made anew. `results` are those of each image, by its name."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [row(name, result) for name, of_image in results.items() for result in of_image if tests_program(result)]
    lines = "".join(f"{line}\n" for line in [*HEAD, *rows])
    return f"{before}{BEGIN}{lines}{END}{after}"


def tests_program(result: SmokeResult) -> bool:
    return result.check.startswith(CLAIM)


def row(image: str, result: SmokeResult) -> str:
    ended = AS_CLAIMED if result.outcome == "passed" else f"{result.outcome}: {result.detail} | |"
    return f"| {image} | {result.check.removeprefix(CLAIM)} | {ended} |"


if __name__ == "__main__":
    try:
        main()
    except SeedbedError as error:
        sys.exit(f"seedbed: {error}")
