"""The last of the recipe: the engine runs the stages of the Dockerfile that are not made otherwise."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from builder import debian, network, paths
from builder.assemble import Stage
from builder.catalog import Catalog, Image
from builder.engine import Digests, Engine

OUTPUT = "type=image,oci-mediatypes=true,compression=zstd"


def run(
    catalog: Catalog,
    image: Image,
    engine: Engine,
    made: Mapping[str, Stage],
    *,
    cached: bool = True,
    output: str = OUTPUT,
) -> Digests:
    """Run the Dockerfile with the stages `made` in the place of its own; `output` as `docker buildx build` takes it."""
    with ExitStack() as stack:
        arguments = ["--file", str(image.dockerfile_path), "--target", "final", "--platform", "linux/amd64"]
        arguments += ["--provenance=false", "--sbom=false", "--output", output]
        arguments += [] if cached else ["--no-cache"]
        for name, stage in made.items():
            arguments += ["--build-context", f"{name}={stack.enter_context(stage.context())}"]
        if "base" in made and made["base"].moved:
            arguments += ["--label", f"io.seedbed.unlocked={'; '.join(made['base'].moved)}"]
        for name, path in stack.enter_context(secrets(catalog.base_of(image).suite)).items():
            arguments += ["--secret", f"id={name},src={path}"]
        return engine.build([*arguments, str(paths.ROOT)], epoch=catalog.base_of(image).source_date_epoch)


@contextmanager
def secrets(suite: str) -> Iterator[dict[str, Path]]:
    """How this host reaches packages, as files for BuildKit to mount: as ARG or ENV they would end up in the image."""
    with tempfile.TemporaryDirectory() as folder:
        texts = {"apt-sources": debian.sources_text(suite) if debian.host_supported() is None else None}
        if index := network.index_url():
            texts["pip.conf"] = f"[global]\nindex-url = {index}\n"
            texts["uv.toml"] = f'[[index]]\nurl = "{index}"\ndefault = true\n'
        files = {"ca-bundle": bundle} if (bundle := network.ca_bundle()) else {}
        for name, text in texts.items():
            if text:
                files[name] = Path(folder, name)
                files[name].write_text(text, encoding="utf-8")
        yield files
