#!/usr/bin/env python3
"""Build container images for training that build to the same digest and train to the same bits."""

from builder import interrupts

interrupts.handle()

from builder import environment  # noqa: E402

environment.enter()

from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import click  # noqa: E402

from builder import paths  # noqa: E402
from builder.cli import verbs  # noqa: E402
from builder.cli.group import VerbGroup, images_argument, json_option  # noqa: E402
from builder.image.build import Options  # noqa: E402


@click.group(cls=VerbGroup)
@click.option(
    "--catalog", type=click.Path(path_type=Path, file_okay=False), default=paths.IMAGES, help="Folder of image folders."
)
@click.pass_context
def seedbed(context: click.Context, catalog: Path) -> None:
    """Build container images for training that build to the same digest and train to the same bits."""
    context.obj = catalog


@seedbed.command("list", example="./build.py list --json")
@json_option
@click.pass_obj
def list_(catalog: Path, as_json: bool) -> None:
    """Show every image: tag, digest, size, layers, smoke tests."""
    verbs.list_images(catalog, as_json)


@seedbed.command(example="./build.py show pytorch")
@click.argument("image")
@json_option
@click.pass_obj
def show(catalog: Path, image: str, as_json: bool) -> None:
    """Show one image: what image.yaml and its lock say, layer by layer."""
    verbs.show(catalog, image, as_json)


@seedbed.command(example="./build.py report pytorch")
@images_argument
@json_option
@click.pass_obj
def report(catalog: Path, images: tuple[str, ...], as_json: bool) -> None:
    """Show what images weigh, layer by layer and package by package; fail where one is over its budget."""
    verbs.weigh(catalog, images, as_json)


@seedbed.command(example="./build.py lock pytorch --cutoff 2026-11-20")
@images_argument
@click.option("--check", is_flag=True, help="Change nothing, ask no network; fail where a lock is stale.")
@click.option("--cutoff", metavar="DATE", help="Consider only wheels published before this day (UTC); default: today.")
@click.pass_obj
def lock(catalog: Path, images: tuple[str, ...], check: bool, cutoff: str | None) -> None:
    """Resolve Debian packages and wheels, and write down what to install, with hashes."""
    verbs.lock(catalog, images, check, cutoff)


@seedbed.command(example="./build.py render --check")
@images_argument
@click.option("--check", is_flag=True, help="Change nothing; show the difference and fail where there is one.")
@click.pass_obj
def render(catalog: Path, images: tuple[str, ...], check: bool) -> None:
    """Render each image's Dockerfile from the templates, image.yaml and the locks."""
    verbs.render(catalog, images, check)


@seedbed.command(example="./build.py build pytorch")
@images_argument
@click.option("--locked", is_flag=True, help="Refuse to build where a locked Debian package can no longer be had.")
@click.option("--recipe", is_flag=True, help="Run the Dockerfile's stages instead of assembling the layers.")
@click.option(
    "--base",
    type=click.Choice(["bootstrap", "registry"]),
    default="bootstrap",
    help="Debian from its locked packages (default), or the image by digest from a registry (implies --recipe).",
)
@click.option("--no-cache", is_flag=True, help="Build although nothing changed.")
@click.pass_obj
def build(catalog: Path, images: tuple[str, ...], **options: Any) -> None:
    """Build images. They have no tag until `smoke` has passed on them."""
    verbs.build(catalog, images, Options.of(**options))


@seedbed.command(example="./build.py smoke pytorch --gpu require")
@images_argument
@click.option(
    "--gpu", type=click.Choice(["auto", "require", "off"]), default="auto", help="auto: where the engine offers GPUs."
)
@click.option(
    "--host",
    is_flag=True,
    expose_value=False,
    help="Test the Python at hand instead, without engine or network; smoke --host --help tells more.",
)
@click.pass_obj
def smoke(catalog: Path, images: tuple[str, ...], gpu: str) -> None:
    """Test images just built, and tag those that pass."""
    verbs.smoke(catalog, images, gpu)


@seedbed.command(example="./build.py verify pytorch --json")
@click.argument("image")
@click.option(
    "--against",
    metavar="REF|FILE",
    help="Compare with this image, pulled if it names a registry, or OCI layout or archive; default: the last build.",
)
@click.option("--vary", is_flag=True, help="Rebuild as if on another machine, and say which difference matters.")
@json_option
@click.pass_obj
def verify(catalog: Path, image: str, **options: Any) -> None:
    """Rebuild an image without any cache, and prove that it is the same to the last byte."""
    verbs.verify(catalog, image, **options)


@seedbed.command(example="./build.py diff seedbed/pytorch:2.7.1-cuda12.6-cudnn9-py311 pytorch.tar")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@json_option
def diff(first: str, second: str, as_json: bool) -> None:
    """Compare two images, each in the engine, or an OCI layout or archive, down to the first file that differs."""
    verbs.diff(first, second, as_json)


@seedbed.command(example="SEEDBED_REPOSITORY=registry.example.org/team ./build.py push pytorch")
@images_argument
@click.pass_obj
def push(catalog: Path, images: tuple[str, ...]) -> None:
    """Push images to SEEDBED_REPOSITORY; those that have not passed their smoke tests get no tag."""
    verbs.push(catalog, images)


@seedbed.command(example="./build.py matrix --format bake | docker buildx bake --file -")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["github", "bake"]),
    default="github",
    help="A CI's job matrix, or bake's file.",
)
@click.pass_obj
def matrix(catalog: Path, kind: str) -> None:
    """Print the whole catalog as JSON for a tool that runs a job for each image."""
    verbs.matrix(catalog, kind)


@seedbed.command(example="./build.py doctor")
@json_option
def doctor(as_json: bool) -> None:
    """Show at a glance what this host offers for builds, and what to do where it lacks something."""
    verbs.doctor(as_json)


@seedbed.group(example='eval "$(./build.py engine env)"')
def engine() -> None:
    """Start, stop and use the embedded engine, for hosts on which no Docker engine answers."""


@engine.command(example="./build.py engine up")
def up() -> None:
    """Start it, unless it runs."""
    verbs.engine_up()


@engine.command(example="./build.py engine down")
def down() -> None:
    """Stop it and everything in it; images stay."""
    verbs.engine_down()


@engine.command(example='eval "$(./build.py engine env)"')
def env() -> None:
    """Print what a shell needs to use it: docker, docker compose and docker buildx then talk to it."""
    verbs.engine_env()


@seedbed.command(example="./build.py clean")
@click.option("--all", "everything", is_flag=True, help="Downloads and the embedded engine's data too.")
def clean(everything: bool) -> None:
    """Delete what can be made again: layers, records, build cache; with --all also what must be downloaded again."""
    verbs.clean(everything)


if __name__ == "__main__":
    seedbed()
