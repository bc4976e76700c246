"""The command that compares two images, or the locks of an image in two states: `diff`."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.catalog import models
from builder.cli.group import Verb
from builder.console import print_json, print_line
from builder.engine import client
from builder.errors import SeedbedError, UsageError
from builder.reproduce import diff, pages, states
from builder.reproduce.changes import Changelog

if TYPE_CHECKING:
    from builder.reproduce.traced import FirstDifference

Page = Callable[[Changelog, Iterable[Changelog]], Iterator[str]]
PAGES: dict[str, Page] = {"text": pages.as_text, "markdown": pages.as_markdown}
TRACES = {"text": pages.trace_as_text, "markdown": pages.trace_as_markdown}


@click.command("diff", cls=Verb, example="./build.py diff seedbed/pytorch:2.7.1-cuda12.6-cudnn9-py311 pytorch.tar")
@click.argument("names", nargs=-1, metavar="A B | --locks REV [IMAGE…]")
@click.option(
    "--locks", "revision", metavar="REV", help="From that revision of git to the working tree; no image needed."
)
@click.option(
    "--trace",
    "training",
    metavar="TRAINING",
    help="Run this script, with arguments, in both images, and find the first operation with other results.",
)
@click.option("--format", "form", type=click.Choice([*PAGES, "json"]), default="text", help="Default: text.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.pass_obj
def diff_(
    root: Path, names: Sequence[str], revision: str | None, training: str | None, form: str, as_json: bool
) -> None:
    """Show what changed from image A to image B.

    Down to the first file that differs. Each is in the engine, an OCI layout or an archive. With --locks: what changed
    in the locks, the settings and the recorded numbers of images of the catalog; without IMAGE of all. Exit status: 1
    if two images differ, else 0.
    """
    form = "json" if as_json else form
    if revision is not None:
        if training:
            raise UsageError("--trace runs two images, and with --locks there are none; name images instead")
        print_locks(root, names, revision, form)
        return
    if len(names) != 2:
        raise UsageError(f"expected two images, found {len(names)}; or name a revision with --locks")
    if training and (file := next(filter(os.path.lexists, names), None)):
        raise UsageError(f"--trace runs images of an engine, and {file} is a file here; load it and name it")
    first, second = (diff.open_image(name, client.connect) for name in names)
    trace = traced(names, training) if training else None
    comparison = diff.compare(first, second)
    log = None if comparison.equal else diff.changelog(first, second)
    if form == "json":
        both = {"changelog": log and log.to_json()} | ({"trace": trace.document} if trace else {})
        print_json(comparison.to_json() | both)
    elif log is None:
        print_line(f"{first.name} and {second.name} are the same image: {first.digest}")
    else:
        print_page(form, [log])
    if log and form == "text":
        diff.print_comparison(comparison)
    if training and trace and form != "json":
        for line in TRACES[form](training, trace.text):
            print_line(line)
    if log:
        raise SeedbedError(f"{first.name} and {second.name} differ, see above")


def traced(names: Sequence[str], training: str) -> "FirstDifference":
    from builder.reproduce import traced  # imports much of the runtime, which no other command needs

    wanted = traced.training(training)
    return traced.first_difference(client.connect(), names, wanted)


def print_locks(root: Path, images: Sequence[str], revision: str, form: str) -> None:
    catalog = models.load(root)
    names = [catalog.image(name).name for name in images] or list(catalog.images)
    before, after = states.revision(root, revision), states.working_tree(root)
    logs = [states.compare(before, after, name) for name in names]
    if form == "json":
        print_json({"images": {name: log.to_json() for name, log in zip(names, logs, strict=True)}})
    else:
        print_page(form, logs)


def print_page(form: str, logs: Sequence[Changelog]) -> None:
    for index, log in enumerate(logs):
        for line in PAGES[form](log, logs[:index]):
            print_line(line)
