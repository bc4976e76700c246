"""What is published beside an image, as artifacts that refer to it: the image stays what it is."""

from collections.abc import Callable, Sequence

from builder.image.recipe import Recipe
from builder.oci.artifacts import Artifact
from builder.oci.layout import OciImage
from builder.publish import kit, sbom

Maker = Callable[[Recipe, OciImage], Sequence[Artifact]]

MAKERS: tuple[Maker, ...] = (kit.beside, sbom.artifacts)
"""Each makes some of them: this is the list of all that a push attaches."""


def artifacts_of(recipe: Recipe, image: OciImage) -> tuple[Artifact, ...]:
    return tuple(artifact for make in MAKERS for artifact in make(recipe, image))
