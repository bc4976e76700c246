"""An image in an engine: asked for once, read in any order, and gone with its last reader."""

import gc
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import paths
from builder.engine import saved
from builder.errors import SeedbedError
from builder.oci.images import Image, read_image
from builder.oci.layout import write_archive
from builder.oci.store import blob_path
from tests.layouts import Layouts


class InEngine:
    """An image as the SDK has it, of an OCI layout, and how often it was sent."""

    def __init__(self, layout: Path) -> None:
        self.layout, self.sent = layout, 0

    def save(self) -> Iterator[bytes]:
        self.sent += 1
        archive = io.BytesIO()
        write_archive(self.layout, archive)
        archive.seek(0)
        return iter(lambda: archive.read(1000), b"")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    return Layouts(tmp_path)()


def names(image: Image, index: int) -> list[str]:
    with image.layer(index) as tar:
        return tar.getnames()


def opened() -> list[str]:
    """The files of the cache that this process has open."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [link for link in links if link.startswith(str(paths.cache()))]


def test_it_is_sent_once_and_its_layers_are_read_in_any_order(layout):
    """Control: an engine has no call for less than all of an image, so each look at it took a whole pass."""
    in_engine = InEngine(layout)
    image = saved.read("tiny", in_engine)
    assert (image.name, image.digest) == ("tiny", read_image("", lambda path: (layout / path).open("rb")).digest)
    with image.layer(1) as upper:
        assert names(image, 0) == ["etc/hostname", "usr/bin/python"]
        assert upper.getnames() == ["opt/a", "opt/b", "opt/c"]
    assert in_engine.sent == 1


def test_nothing_is_left_of_it_once_nobody_can_read_it(layout):
    image = saved.read("tiny", InEngine(layout))
    assert len(opened()) == 1 and list(paths.cache().iterdir()) == []
    del image
    gc.collect()
    assert opened() == []


def test_what_the_engine_did_not_send_is_named(layout):
    lost = blob_path(saved.read("tiny", InEngine(layout)).layers[0])
    (layout / lost).unlink()
    with pytest.raises(SeedbedError, match=f"^tiny: expected an OCI image layout in a tar, found no {lost} in it$"):
        names(saved.read("tiny", InEngine(layout)), 0)
