"""The software bill of materials (SBOM) of an image, in either of the two formats that tools read.

No engine is needed, and it is the same bytes in every run.

Source: CycloneDX 1.6; SPDX 2.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from builder.errors import SeedbedError
from builder.image import assemble, build
from builder.image.recipe import Recipe
from builder.oci.artifacts import Artifact
from builder.oci.layout import OciImage, read_image
from builder.oci.store import Blob
from builder.publish import bill
from builder.publish.bill import Bill

Format = Literal["cyclonedx", "spdx"]


@dataclass(frozen=True)
class Form:
    """A format: its media type, and how the name of a file of it ends."""

    media_type: str
    ending: str


FORMATS: Mapping[Format, Form] = {
    "cyclonedx": Form("application/vnd.cyclonedx+json", ".cdx.json"),
    "spdx": Form("application/spdx+json", ".spdx.json"),
}


def render(described: Bill, form: Format) -> bytes:
    """The SBOM by the module of that name: its library takes up to half a second to load."""
    return import_module(f"builder.publish.{form}").render(described)


def artifacts(recipe: Recipe, image: OciImage) -> tuple[Artifact, ...]:
    """The SBOM in both formats, as what refers to the image in a registry."""
    described = bill.of(recipe, image)
    boms = (
        Blob.of(render(described, name), form.media_type, f"{recipe.name}{form.ending}")
        for name, form in FORMATS.items()
    )
    return tuple(Artifact(bom.descriptor.media_type, image.descriptor, (bom,)) for bom in boms)


def of_recipe(recipe: Recipe, form: Format) -> bytes:
    """The SBOM of the image as it was built; raises SeedbedError if the store does not have that."""
    return render(bill.of(recipe, built(recipe)), form)


def built(recipe: Recipe) -> OciImage:
    known = build.find(recipe)
    if known is None or not build.is_stored(known):
        raise SeedbedError(f"{recipe.name}: not built; run ./build.py build {recipe.name}")
    return read_image(assemble.store(), known.digest)
