"""What only the real images can show."""

import os
import re
from collections.abc import Collection

import pytest

from builder import paths
from builder.image.record import Record
from tests.image.conftest import IMAGES


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_passed_its_smoke_tests_and_is_tagged(name, record_of, docker):
    built = record_of(name)
    assert built.tested
    assert all(docker.has(tag) for tag in built.tags)


@pytest.mark.parametrize("name", IMAGES)
def test_layers_that_are_shared_have_the_same_digests(name, real, record_of):
    own = digests_of(record_of(name), [group.name for group in real.image(name).layers])
    for source in real.image(name).shared:
        shared = digests_of(record_of(source.image), source.layers)
        assert len(shared) >= len(source.layers) and shared <= digests_of(record_of(name))
        assert not own & digests_of(record_of(source.image))  # the negative control


def digests_of(built: Record, groups: Collection[str] = ()) -> set[str]:
    """Of the layers of wheels of these groups, or of all layers."""
    return {layer.digest for layer in built.layers if not groups or re.split("[,:]", layer.what)[0] in groups}


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_holds_no_trace_of_the_host_that_built_it(name, record_of, docker):
    finished = docker.run(record_of(name).digest, ["sh", "-c", "env --unset=HOSTNAME; ls -aR ~ /workspace /tmp"])
    assert finished.status == 0
    assert str(paths.ROOT) not in finished.stdout
    assert os.uname().nodename not in finished.stdout


@pytest.mark.parametrize("name", IMAGES)
def test_what_the_image_says_of_itself_is_what_its_lock_says(name, recipe_of, record_of, docker):
    said = docker.run(record_of(name).digest, ["cat", "/etc/seedbed/image.json"]).stdout
    for wheel in recipe_of(name).wheels.wheels:
        assert f'"{wheel.name}": "{wheel.version}"' in said
