"""The last of the recipe: the engine runs the stages of the Dockerfile that are not made otherwise."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from builder import network, paths
from builder.catalog.models import Catalog, Image
from builder.debian import archive
from builder.engine.client import Digests, Engine
from builder.image.assemble import Stage

OUTPUT = "type=image,oci-mediatypes=true,compression=zstd"


def run(
    catalog: Catalog,
    image: Image,
    engine: Engine,
    made: Mapping[str, Stage],
    folder: Path,
    *,
    cached: bool = True,
    output: str = OUTPUT,
) -> Digests:
    """Run the Dockerfile with the stages `made` in the place of its own; `output` as `docker buildx build` takes it.

    It runs in `folder`, an empty one.
    """
    base = catalog.base_of(image)
    arguments = ["--file", str(image.dockerfile_path.absolute()), "--target", "final", "--platform", "linux/amd64"]
    arguments += ["--provenance=false", "--sbom=false", "--output", output]
    arguments += [] if cached else ["--no-cache"]
    for name, stage in made.items():
        arguments += ["--build-context", stage.context(name, folder)]
    if "base" in made and made["base"].moved:
        arguments += ["--label", f"io.seedbed.unlocked={'; '.join(made['base'].moved)}"]
    for name in secrets(base.suite, folder):
        arguments += ["--secret", f"id={name},src={name}"]
    return engine.build([*arguments, str(paths.ROOT)], folder=folder, epoch=base.source_date_epoch)


def secrets(suite: str, folder: Path) -> Iterator[str]:
    """How this host reaches packages, as files in `folder` for BuildKit to mount: an image keeps ARG and ENV."""
    texts = {"apt-sources": archive.sources_text(suite)} if archive.host_supported() is None else {}
    if index := network.index_url():
        texts["pip.conf"] = f"[global]\nindex-url = {index}\n"
        texts["uv.toml"] = f'[[index]]\nurl = "{index}"\ndefault = true\n'
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        yield name
    if bundle := network.ca_bundle():
        (folder / "ca-bundle").symlink_to(bundle.absolute())
        yield "ca-bundle"
