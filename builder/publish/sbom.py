"""The software bill of materials (SBOM) of an image, in either of the two formats that tools read.

No engine is needed, and it is the same bytes in every run.

Source: CycloneDX 1.6; SPDX 2.3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from builder.errors import SeedbedError
from builder.image import assemble, build
from builder.image.recipe import Recipe
from builder.oci.layout import OciImage, read_image
from builder.publish import bill, cyclonedx
from builder.publish.bill import Bill

Format = Literal["cyclonedx", "spdx"]


def in_spdx(described: Bill) -> bytes:
    from builder.publish import spdx  # half a second, at the start of every command

    return spdx.render(described)


@dataclass(frozen=True)
class Form:
    """A format: its media type, how the name of a file of it ends, and what writes it."""

    media_type: str
    ending: str
    render: Callable[[Bill], bytes]


FORMATS: Mapping[Format, Form] = {
    "cyclonedx": Form("application/vnd.cyclonedx+json", ".cdx.json", cyclonedx.render),
    "spdx": Form("application/spdx+json", ".spdx.json", in_spdx),
}


def of_recipe(recipe: Recipe, form: Format) -> bytes:
    """The SBOM of the image as it was built; raises SeedbedError if the store does not have that."""
    return FORMATS[form].render(bill.of(recipe, built(recipe)))


def built(recipe: Recipe) -> OciImage:
    known = build.find(recipe)
    if known is None or not build.is_stored(known):
        raise SeedbedError(f"{recipe.name}: not built; run ./build.py build {recipe.name}")
    return read_image(assemble.store(), known.digest)
