"""The SBOM of each real image names an owner for every file in it."""

import pytest

from builder.image import assemble
from builder.oci.layout import read_image
from builder.publish import bill
from tests.image.conftest import IMAGES
from tests.owners import owners_of


@pytest.mark.parametrize("name", IMAGES)
def test_every_file_of_the_image_belongs_to_a_component_and_every_component_has_files(name, recipe_of, record_of):
    image = read_image(assemble.store(), record_of(name).digest)
    owners = owners_of(image, assemble.store())
    assert [path for path, owner in owners.items() if owner is None] == []
    components = {(each.kind, each.name) for each in bill.of(recipe_of(name), image).components}
    assert set(owners.values()) == {(kind, name) for kind, name in components if kind != "system"}
