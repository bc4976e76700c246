"""The Dockerfile build: BuildKit runs the Dockerfile, on the base that Seedbed makes or on a registry's."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from builder import network, paths, scratch
from builder.debian import archive, sources
from builder.engine.client import Digests, Engine
from builder.errors import SeedbedError
from builder.image import assemble, contents
from builder.image.recipe import Recipe
from builder.oci.layout import compose, write_layout
from builder.oci.store import Layer

OUTPUT = "type=image,oci-mediatypes=true,compression=zstd"
BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    recipe: Recipe,
    engine: Engine,
    debian: Layer | None,
    *,
    substituted: Sequence[str] = (),
    cached: bool = True,
) -> Digests:
    """Run the Dockerfile, on `debian` in the place of the registry's image if there is one.

    Raises SeedbedError if the engine has the older image store.
    """
    if not engine.keeps_manifests():
        raise SeedbedError(
            "a Dockerfile build needs an engine with the containerd image store, and this one has the older: turn "
            "on containerd-snapshotter in /etc/docker/daemon.json, or build without --recipe"
        )
    arguments = ["--file", str(recipe.image.dockerfile_path.absolute()), "--target", "final"]
    arguments += ["--platform", "linux/amd64", "--provenance=false", "--sbom=false", "--output", OUTPUT]
    arguments += [] if cached else ["--no-cache"]
    with scratch.folder(paths.cache()) as folder:
        if debian:
            arguments += ["--build-context", f"base={context(recipe, debian, folder / 'base')}"]
        if substituted:
            arguments += ["--label", f"{contents.UNLOCKED}={'; '.join(substituted)}"]
        for name in secrets(recipe.base.suite, folder):
            arguments += ["--secret", f"id={name},src={name}"]
        return engine.build([*arguments, str(paths.ROOT)], folder=folder, epoch=recipe.epoch)


def context(recipe: Recipe, debian: Layer, folder: Path) -> str:
    """Write stage `base` into `folder` as an OCI layout; returns what `--build-context base=` takes beside it."""
    image = compose([debian], {"Env": [f"PATH={BASE_PATH}"]}, epoch=recipe.epoch)
    write_layout(folder, assemble.store(), image)
    return f"oci-layout://{folder.name}@{image.digest}"


def secrets(suite: str, folder: Path) -> Iterator[str]:
    """How this host reaches packages, as files in `folder` for BuildKit to mount: an image keeps ARG and ENV."""
    texts = {"apt-sources": sources.sources_text(suite)} if archive.host_supported() is None else {}
    if index := network.index_url():
        texts["pip.conf"] = f"[global]\nindex-url = {index}\n"
        texts["uv.toml"] = f'[[index]]\nurl = "{index}"\ndefault = true\n'
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        yield name
    if bundle := network.ca_bundle():
        (folder / "ca-bundle").symlink_to(bundle.absolute())
        yield "ca-bundle"
